// Verifies Sigstore bundles made with a key as a JavaScript application would: @sigstore/bundle reads, @sigstore/verify verifies.
// stdin: one JSON object a line: {id, bundle, publicKey, artifact?}; publicKey is PEM, artifact is base64.
// stdout: one line {id, accepted, hint?, reason?} for each.
import { createHash, createPublicKey } from 'node:crypto';
import { createInterface } from 'node:readline';
import { bundleFromJSON } from '@sigstore/bundle';
import { Verifier, toSignedEntity } from '@sigstore/verify';

for await (const line of createInterface({ input: process.stdin })) {
  const { id, ...candidate } = JSON.parse(line);
  console.log(JSON.stringify({ id, ...judge(candidate) }));
}

function judge({ bundle, publicKey, artifact }) {
  try {
    const key = createPublicKey(publicKey);
    const hint = createHash('sha256').update(key.export({ format: 'der', type: 'spki' })).digest('base64');
    // The verifier finds the key by the bundle's hint alone.
    const findKey = (asked) => {
      if (asked !== hint) throw new Error(`no key for the hint ${asked}`);
      return { publicKey: key, validFor: () => true };
    };
    const nothing = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
    const verifier = new Verifier({ ...nothing, publicKey: findKey }, { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 });
    const entity = toSignedEntity(bundleFromJSON(bundle), artifact && Buffer.from(artifact, 'base64'));
    verifier.verify(entity);
    return { accepted: true, hint };
  } catch (e) {
    return { accepted: false, reason: `${e.code ?? e.name}: ${e.message}` };
  }
}
