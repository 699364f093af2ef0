// The whole API on @grpc/grpc-js: node api.mjs <folder of the protos> <host:port> <bearer token>
import assert from "node:assert/strict";
import crypto from "node:crypto";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const [protos, target, token] = process.argv.slice(2);
const definition = protoLoader.loadSync(
  ["signing", "tokens", "keys"].map((name) => `signsvc/v1/${name}.proto`).concat("google/rpc/error_details.proto"),
  { includeDirs: [protos], keepCase: true, defaults: true, oneofs: true, enums: String, longs: Number },
);
const v1 = grpc.loadPackageDefinition(definition).signsvc.v1;
const gzip = { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip };
const connect = (Client, options = {}) => new Client(target, grpc.credentials.createInsecure(), options);
const signing = connect(v1.Signing);
const tokens = connect(v1.Tokens);
const keys = connect(v1.Keys);

const bearer = (value = token) => {
  const metadata = new grpc.Metadata();
  if (value) metadata.set("authorization", `Bearer ${value}`);
  return metadata;
};
const call = (client, method, request, { metadata = bearer(), options = {} } = {}) =>
  new Promise((resolve, reject) =>
    client[method](request, metadata, options, (error, answer) => (error ? reject(error) : resolve(answer))),
  );
const fails = async (code, promise) => {
  const error = await promise.then(() => assert.fail("succeeded"), (e) => e);
  assert.equal(error.code, code, error.message);
  return error;
};
const ErrorInfo = definition["google.rpc.ErrorInfo"];
const reasonOf = (error) => {
  const status = definition["google.rpc.Status"] ?? null;
  const bytes = error.metadata.get("grpc-status-details-bin")[0];
  assert.ok(bytes, "no details");
  return { bytes, text: bytes.toString("latin1"), status, ErrorInfo };
};

const digest = crypto.createHash("sha256").update("app.tar.gz").digest();

// Signing.
const publicKey = await call(keys, "GetPublicKey", { key: "release" });
const key = crypto.createPublicKey({ key: publicKey.public_key, format: "der", type: "spki" });
const message = crypto.randomBytes(900_000);
for (const client of [signing, connect(v1.Signing, gzip)]) {
  const signed = await call(client, "Sign", { key: "release", message, encoding: "SIGNATURE_ENCODING_P1363", context: { artifact: { type: "blob", name: "app" } } });
  assert.ok(crypto.verify("sha256", message, { key, dsaEncoding: "ieee-p1363" }, signed.signature));
  assert.match(signed.audit_id, /^local-\d+$/);
  assert.equal((await call(client, "Verify", { key: "release", message, signature: signed.signature, encoding: "SIGNATURE_ENCODING_P1363" })).valid, true);
}
const batch = await call(signing, "SignBatch", { key: "release", items: [{ digest }, { digest: Buffer.alloc(3) }, { message: Buffer.from("x") }] });
assert.deepEqual(batch.results.map((r) => r.result), ["signed", "fault", "signed"]);
assert.equal(batch.results[1].fault.code, grpc.status.INVALID_ARGUMENT);

// A stream of 500, answered by id.
await new Promise((resolve, reject) => {
  const waiting = new Set();
  const stream = signing.SignStream(bearer());
  stream.on("data", (answer) => {
    assert.equal(answer.result.result, "signed");
    assert.ok(waiting.delete(answer.id));
  });
  stream.on("error", reject);
  stream.on("end", () => (waiting.size === 0 ? resolve() : reject(new Error(`${waiting.size} unanswered`))));
  for (let id = 1; id <= 500; id++) {
    waiting.add(id);
    stream.write({ id, request: { key: "release", digest } });
  }
  stream.end();
});

// Tokens.
const issued = await call(tokens, "Issue", {
  profile: "default", subject: "build-42", audiences: ["api://deploy"], lifetime_seconds: 300,
  claims: { fields: { env: { stringValue: "prod" } } },
});
const set = await call(tokens, "GetJwks", {}, { metadata: bearer(null) });
const jwk = JSON.parse(set.key_set).keys.find((k) => k.kid === issued.kid);
const [header, payload, signature] = issued.token.split(".");
assert.ok(crypto.verify("sha256", Buffer.from(`${header}.${payload}`), { key: crypto.createPublicKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" }, Buffer.from(signature, "base64url")));
assert.equal(JSON.parse(Buffer.from(payload, "base64url")).env, "prod");
assert.equal((await call(tokens, "IssueBatch", { profile: "default", items: [{ audiences: ["a"] }, { audiences: ["b"] }] })).results.length, 2);

// Keys.
const name = `node-${process.pid}`;
await call(keys, "CreateKey", { name, purpose: "KEY_PURPOSE_ARTIFACTS", spec: "ECC_NIST_P384", tags: { from: "node" } });
assert.equal((await call(keys, "UpdateKey", { key: name, owner: "node" })).key.owner, "node");
assert.equal((await call(keys, "RotateKey", { key: name })).version.version, 2);
await call(keys, "PutAlias", { alias: `${name}-alias`, key: name });
assert.equal((await call(keys, "GetAlias", { alias: `${name}-alias` })).alias.key_name, name);
assert.ok((await call(keys, "ListAliases", {})).aliases.length > 0);
await call(keys, "DeleteAlias", { alias: `${name}-alias` });
assert.equal((await call(keys, "ListKeyVersions", { key: name })).versions.length, 2);
assert.equal((await call(keys, "RevokeKeyVersion", { key: name, version: 1, reason: "superseded" })).version.state, "VERSION_STATE_REVOKED");
assert.equal((await call(keys, "DisableKey", { key: name })).key.state, "KEY_STATE_DISABLED");
assert.equal((await call(keys, "EnableKey", { key: name })).key.state, "KEY_STATE_ENABLED");
assert.equal((await call(keys, "ScheduleKeyDeletion", { key: name })).key.state, "KEY_STATE_PENDING_DELETION");
assert.equal((await call(keys, "CancelKeyDeletion", { key: name })).key.state, "KEY_STATE_DISABLED");
assert.equal((await call(keys, "GetKey", { key: name })).key.name, name);
assert.equal((await call(keys, "ListKeys", { tags: { from: "node" } })).keys[0].name, name);

// Faults with details; deadlines; cancellation.
const unknown = await fails(grpc.status.NOT_FOUND, call(signing, "Sign", { key: "nobody", digest }));
assert.ok(reasonOf(unknown).text.includes("NOT_FOUND"));
assert.match(unknown.metadata.get("signsvc-audit-id")[0], /^local-\d+$/);
await fails(grpc.status.UNAUTHENTICATED, call(signing, "Sign", { key: "release", digest }, { metadata: bearer(null) }));
await fails(grpc.status.UNAUTHENTICATED, call(signing, "Sign", { key: "release", digest }, { metadata: bearer("ssv1_x") }));
await fails(grpc.status.DEADLINE_EXCEEDED, call(signing, "Sign", { key: "release", digest }, { options: { deadline: Date.now() - 1 } }));
const rsa = `rsa-${process.pid}`;
await call(keys, "CreateKey", { name: rsa, purpose: "KEY_PURPOSE_ARTIFACTS", spec: "RSA_4096" });
const slow = { key: rsa, items: Array.from({ length: 1000 }, () => ({ digest })) };
await fails(grpc.status.DEADLINE_EXCEEDED, call(signing, "SignBatch", slow, { options: { deadline: Date.now() + 300 } }));
await new Promise((resolve) => {
  const cancelled = signing.SignBatch(slow, bearer(), (error) => resolve(assert.equal(error.code, grpc.status.CANCELLED)));
  setTimeout(() => cancelled.cancel(), 100);
});
const whole = await call(signing, "SignBatch", slow);
assert.equal(whole.results.filter((r) => r.signed).length, 1000);
// The two that were cut off did not go on: what was signed by the deadline may be on record, and counts; the rest was left.
const { uses } = (await call(keys, "ListKeyVersions", { key: rsa })).versions[0];
assert.ok(uses >= 1000 && uses < 2000, `${uses} uses of the 1000 to 1999 expected`);
for (const client of [signing, tokens, keys]) client.close();
