// A stand-in for kube-apiserver's client of v1.ExternalJWTSigner: it keeps the rules of KEP-740 and refuses an answer whole
// that breaks one. It signs without a pause while the key is rotated, and verifies with the keys it had fetched before.
// node apiserver.mjs <folder of the protos> <target> <rotations> <url of the HTTP API> <bearer token>
import assert from "node:assert/strict";
import crypto from "node:crypto";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const [protos, target, rotations, url, token] = process.argv.slice(2);
const definition = protoLoader.loadSync("k8s.io/externaljwt/apis/v1/api.proto", {
  includeDirs: [protos], keepCase: true, defaults: true, longs: Number,
});
const { ExternalJWTSigner } = grpc.loadPackageDefinition(definition).v1;
const client = new ExternalJWTSigner(target, grpc.credentials.createInsecure());
const call = (method, request) =>
  new Promise((resolve, reject) => client[method](request, (error, answer) => (error ? reject(error) : resolve(answer))));
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const hashes = { RS256: "sha256", ES256: "sha256", ES384: "sha384", ES512: "sha512" };

const { max_token_expiration_seconds: longest } = await call("Metadata", {});
assert.ok(longest >= 600);

let cache = { ids: [], keys: new Map(), stamp: 0 };
async function fetchKeys() {
  const answer = await call("FetchKeys", {});
  assert.ok(answer.refresh_hint_seconds > 0, "hint");
  assert.ok(answer.keys.length > 0, "no keys");
  assert.ok(answer.data_timestamp && answer.data_timestamp.seconds > 0 && answer.data_timestamp.nanos < 1e9, "timestamp");
  const keys = new Map();
  for (const { key_id, key } of answer.keys) {
    assert.ok(key_id.length >= 1 && Buffer.byteLength(key_id) <= 1024, "key id");
    assert.ok(!keys.has(key_id), "key id twice");
    keys.set(key_id, crypto.createPublicKey({ key, format: "der", type: "spki" }));
  }
  const ids = [...keys.keys()];
  const stamp = answer.data_timestamp.seconds + answer.data_timestamp.nanos / 1e9;
  if (ids.join() === cache.ids.join()) assert.ok(cache.stamp === stamp, "the timestamp changed and the keys did not");
  else if (cache.stamp) assert.ok(stamp > cache.stamp, "the keys changed and the timestamp did not");
  assert.deepEqual(cache.ids.filter((id) => keys.has(id)), ids.filter((id) => cache.keys.has(id)), "the order changed");
  cache = { ids, keys, stamp };
  return answer.refresh_hint_seconds;
}

const signedBy = [];
let signed = 0;
async function sign() {
  const now = Math.floor(Date.now() / 1000);
  const claims = Buffer.from(JSON.stringify({
    iss: "https://kubernetes.default.svc", sub: "system:serviceaccount:default:app", aud: ["https://kubernetes.default.svc"],
    iat: now, nbf: now, exp: now + 600, jti: crypto.randomUUID(),
  })).toString("base64url");
  const answer = await call("Sign", { claims });
  assert.match(answer.header, /^[A-Za-z0-9_-]+$/);
  assert.match(answer.signature, /^[A-Za-z0-9_-]+$/);
  const header = JSON.parse(Buffer.from(answer.header, "base64url"));
  assert.deepEqual(Object.keys(header).sort(), ["alg", "kid", "typ"]);
  assert.equal(header.typ, "JWT");
  assert.ok(header.alg in hashes, header.alg);
  const key = cache.keys.get(header.kid);
  assert.ok(key, `signed by ${header.kid} before FetchKeys showed it`);
  const valid = crypto.verify(hashes[header.alg], Buffer.from(`${answer.header}.${claims}`), { key, dsaEncoding: "ieee-p1363" }, Buffer.from(answer.signature, "base64url"));
  assert.ok(valid, "signature");
  signed++;
  if (!signedBy.includes(header.kid)) signedBy.push(header.kid);
}

// A disk that is busy with others for longer than the audit waits is a 503 that asks to come again.
async function rotate() {
  for (let attempt = 1; ; attempt++) {
    const rotated = await fetch(`${url}v1/keys/cluster/rotate`, { method: "POST", headers: { authorization: `Bearer ${token}` } });
    if (rotated.status === 503 && attempt < 5) {
      await pause(1000 * Number(rotated.headers.get("retry-after")));
      continue;
    }
    assert.equal(rotated.status, 200, await rotated.text());
    return;
  }
}

// As kube-apiserver does it: fetched at the start, then again after each hint.
let running = true;
let hint = await fetchKeys();
const refreshing = (async () => {
  while (running) {
    await pause(hint * 1000);
    if (running) hint = await fetchKeys();
  }
})();
while (signedBy.length <= Number(rotations)) {
  await sign();
  // Announces a successor, or lets the one that waited its lead take over.
  if (signed % 10 === 0) {
    await rotate();
  }
  await pause(20);
}
running = false;
await refreshing;
await fetchKeys();
for (const kid of signedBy) assert.ok(cache.keys.has(kid), "a key with live tokens is gone");
console.log(JSON.stringify({ signed, kids: signedBy.length, published: cache.ids.length }));
client.close();
