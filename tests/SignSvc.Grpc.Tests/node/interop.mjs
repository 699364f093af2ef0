// gRPC's interoperability cases (doc/interop-test-descriptions.md) and more, on @grpc/grpc-js.
// node interop.mjs <folder of grpc/testing/*.proto> <host:port> <case>; exit code 0 if the case holds.
import assert from "node:assert/strict";
import path from "node:path";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";
import reflection from "grpc-js-reflection-client";

const [protos, target, name] = process.argv.slice(2);
const definition = protoLoader.loadSync(path.join("grpc", "testing", "test.proto"), {
  includeDirs: [protos],
  keepCase: true,
  defaults: true,
  oneofs: true,
});
const { TestService, UnimplementedService } = grpc.loadPackageDefinition(definition).grpc.testing;
const gzip = { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip };
const connect = (options = {}) => new TestService(target, grpc.credentials.createInsecure(), options);
const client = connect();
const zeros = (size) => ({ body: Buffer.alloc(size) });

const unary = (method, request, { metadata = new grpc.Metadata(), options = {}, on = client } = {}) =>
  new Promise((resolve) => {
    const seen = {};
    const call = on[method](request, metadata, options, (error, response) => Object.assign(seen, { error, response }));
    call.on("metadata", (initial) => (seen.initial = initial));
    call.on("status", (status) => resolve(Object.assign(seen, { status })));
  });

const ended = (call) =>
  new Promise((resolve) => {
    call.on("error", () => {});
    call.on("status", resolve);
  });

const metadataOf = (entries) => {
  const metadata = new grpc.Metadata();
  for (const [key, value] of entries) metadata.add(key, value);
  return metadata;
};

const cases = {
  async empty_unary() {
    const { error, response } = await unary("EmptyCall", {});
    assert.equal(error, null);
    assert.deepEqual(response, {});
  },

  async large_unary() {
    const { error, response } = await unary("UnaryCall", { response_size: 314159, payload: zeros(271828) });
    assert.equal(error, null);
    assert.equal(response.payload.body.length, 314159);
  },

  async largest_unary() {
    const size = 4 * 1024 * 1024 - 16;
    const { error, response } = await unary("UnaryCall", { response_size: size, payload: zeros(size) });
    assert.equal(error, null);
    assert.equal(response.payload.body.length, size);
  },

  async too_large_request() {
    const { status } = await unary("UnaryCall", { payload: zeros(4 * 1024 * 1024 + 1) });
    assert.equal(status.code, grpc.status.RESOURCE_EXHAUSTED);
  },

  async too_large_response() {
    const { status } = await unary("UnaryCall", { response_size: 4 * 1024 * 1024 + 1 });
    assert.equal(status.code, grpc.status.RESOURCE_EXHAUSTED);
    assert.match(status.details, /^The answer of/);
  },

  async client_streaming() {
    const answer = await new Promise((resolve, reject) => {
      const call = client.StreamingInputCall((error, response) => (error ? reject(error) : resolve(response)));
      for (const size of [27182, 8, 1828, 45904]) call.write({ payload: zeros(size) });
      call.end();
    });
    assert.equal(answer.aggregated_payload_size, 74922);
  },

  async server_streaming() {
    const sizes = [31415, 9, 2653, 58979];
    const call = client.StreamingOutputCall({ response_parameters: sizes.map((size) => ({ size })) });
    const got = [];
    call.on("data", (response) => got.push(response.payload.body.length));
    const status = await ended(call);
    assert.equal(status.code, grpc.status.OK);
    assert.deepEqual(got, sizes);
  },

  async ping_pong() {
    const call = client.FullDuplexCall();
    const status = ended(call);
    const answers = call[Symbol.asyncIterator]();
    for (const [request, size] of [[27182, 31415], [8, 9], [1828, 2653], [45904, 58979]]) {
      call.write({ response_parameters: [{ size }], payload: zeros(request) });
      assert.equal((await answers.next()).value.payload.body.length, size);
    }
    call.end();
    assert.equal((await answers.next()).done, true);
    assert.equal((await status).code, grpc.status.OK);
  },

  async empty_stream() {
    const call = client.FullDuplexCall();
    call.on("data", () => assert.fail("an answer to nothing"));
    call.end();
    assert.equal((await ended(call)).code, grpc.status.OK);
  },

  async cancel_after_begin() {
    const call = client.StreamingInputCall(() => {});
    const status = ended(call);
    setImmediate(() => call.cancel());
    assert.equal((await status).code, grpc.status.CANCELLED);
  },

  async cancel_after_first_response() {
    const call = client.FullDuplexCall();
    const status = ended(call);
    call.on("data", () => call.cancel());
    call.write({ response_parameters: [{ size: 31415 }], payload: zeros(27182) });
    assert.equal((await status).code, grpc.status.CANCELLED);
  },

  async timeout_on_sleeping_server() {
    const call = client.FullDuplexCall({ deadline: Date.now() + 20 });
    const status = ended(call);
    call.on("data", () => {});
    call.write({ payload: zeros(27182), response_parameters: [{ size: 1, interval_us: 30_000_000 }] });
    assert.equal((await status).code, grpc.status.DEADLINE_EXCEEDED);
  },

  async custom_metadata() {
    const bytes = Buffer.from([0xab, 0xab, 0xab]);
    const sent = () =>
      metadataOf([
        ["x-grpc-test-echo-initial", "test_initial_metadata_value"],
        ["x-grpc-test-echo-trailing-bin", bytes],
      ]);
    const check = (initial, status) => {
      assert.deepEqual(initial.get("x-grpc-test-echo-initial"), ["test_initial_metadata_value"]);
      assert.deepEqual(status.metadata.get("x-grpc-test-echo-trailing-bin"), [bytes]);
      assert.equal(status.code, grpc.status.OK);
    };
    const { initial, status } = await unary("UnaryCall", { response_size: 314159, payload: zeros(271828) }, { metadata: sent() });
    check(initial, status);

    const call = client.FullDuplexCall(sent());
    let streamInitial;
    call.on("metadata", (metadata) => (streamInitial = metadata));
    call.on("data", () => {});
    call.write({ response_parameters: [{ size: 314159 }], payload: zeros(271828) });
    call.end();
    check(streamInitial ?? (await new Promise((r) => call.on("metadata", r))), await ended(call));
  },

  async repeated_binary_metadata() {
    const values = [Buffer.from([1]), Buffer.from([2, 3]), Buffer.from([4, 5, 6]), Buffer.alloc(0)];
    const metadata = metadataOf(values.map((value) => ["x-grpc-test-echo-trailing-bin", value]));
    const { status } = await unary("EmptyCall", {}, { metadata });
    assert.deepEqual(status.metadata.get("x-grpc-test-echo-trailing-bin"), values);
  },

  async status_code_and_message() {
    const response_status = { code: 2, message: "test status message" };
    const { status } = await unary("UnaryCall", { response_status });
    assert.equal(status.code, 2);
    assert.equal(status.details, "test status message");
    const call = client.FullDuplexCall();
    call.on("data", () => assert.fail("an answer"));
    call.write({ response_status });
    call.end();
    const streamed = await ended(call);
    assert.equal(streamed.code, 2);
    assert.equal(streamed.details, "test status message");
  },

  async special_status_message() {
    const message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n and 100 %25\n";
    const { status } = await unary("UnaryCall", { response_status: { code: 2, message } });
    assert.equal(status.code, 2);
    assert.equal(status.details, message);
  },

  async unimplemented_method() {
    const { status } = await unary("UnimplementedCall", {});
    assert.equal(status.code, grpc.status.UNIMPLEMENTED);
  },

  async unimplemented_service() {
    const other = new UnimplementedService(target, grpc.credentials.createInsecure());
    const { status } = await unary("UnimplementedCall", {}, { on: other });
    assert.equal(status.code, grpc.status.UNIMPLEMENTED);
  },

  async client_compressed_unary() {
    const request = { response_size: 314159, payload: zeros(271828), expect_compressed: { value: true } };
    assert.equal((await unary("UnaryCall", request)).status.code, grpc.status.INVALID_ARGUMENT);
    const { error, response } = await unary("UnaryCall", request, { on: connect(gzip) });
    assert.equal(error, null);
    assert.equal(response.payload.body.length, 314159);
    const plain = { ...request, expect_compressed: { value: false } };
    assert.equal((await unary("UnaryCall", plain)).status.code, grpc.status.OK);
  },

  async server_compressed_unary() {
    for (const value of [true, false]) {
      const request = { response_compressed: { value }, response_size: 314159, payload: zeros(271828) };
      const { error, response, initial } = await unary("UnaryCall", request);
      assert.equal(error, null);
      assert.deepEqual(initial.get("grpc-encoding"), []);
      assert.equal(response.payload.body.length, 314159);
    }
  },

  async client_compressed_streaming() {
    const answer = await new Promise((resolve, reject) => {
      const call = connect(gzip).StreamingInputCall((error, response) => (error ? reject(error) : resolve(response)));
      call.write({ payload: zeros(27182), expect_compressed: { value: true } });
      call.write({ payload: zeros(45904), expect_compressed: { value: true } });
      call.end();
    });
    assert.equal(answer.aggregated_payload_size, 73086);
  },

  async server_compressed_streaming() {
    const sizes = [31415, 92653];
    const call = client.StreamingOutputCall({
      response_parameters: [{ size: sizes[0], compressed: { value: true } }, { size: sizes[1], compressed: { value: false } }],
    });
    const got = [];
    call.on("data", (response) => got.push(response.payload.body.length));
    assert.equal((await ended(call)).code, grpc.status.OK);
    assert.deepEqual(got, sizes);
  },

  async server_deadline() {
    // The client's own clock is kept out of it: the header alone reaches the server.
    const metadata = metadataOf([["x-await-cancel", "1"]]);
    const { status } = await unary("UnaryCall", {}, { metadata, options: { deadline: Date.now() + 150 } });
    assert.equal(status.code, grpc.status.DEADLINE_EXCEEDED);
  },

  async error_details() {
    const { status } = await unary("UnaryCall", {}, { metadata: metadataOf([["x-fail", "details"]]) });
    assert.equal(status.code, grpc.status.RESOURCE_EXHAUSTED);
    assert.equal(status.details, "Too much of ☺.");
    assert.equal(status.metadata.get("grpc-status-details-bin").length, 1);
    assert.ok(status.metadata.get("grpc-status-details-bin")[0].includes("type.googleapis.com/google.rpc.ErrorInfo"));
  },

  async many_at_once() {
    const sizes = Array.from({ length: 500 }, (_, i) => i * 7);
    const answers = await Promise.all(sizes.map((size) => unary("UnaryCall", { response_size: size })));
    assert.deepEqual(answers.map((a) => a.response.payload.body.length), sizes);
  },

  async reflection() {
    for (const version of ["v1", "v1alpha"]) {
      const asked = new reflection.GrpcReflection(target, grpc.credentials.createInsecure(), {}, version);
      const services = await asked.listServices();
      for (const service of [
        "grpc.testing.TestService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
      ]) {
        assert.ok(services.includes(service), service);
      }
      const methods = await asked.listMethods("grpc.testing.TestService");
      assert.deepEqual(
        methods.map((method) => method.name).sort(),
        ["EmptyCall", "FullDuplexCall", "StreamingInputCall", "StreamingOutputCall", "UnaryCall", "UnimplementedCall"],
      );
      // A client made from nothing but what reflection told calls the service.
      const descriptor = await asked.getDescriptorBySymbol("grpc.testing.TestService");
      const reflected = descriptor.getPackageObject({ keepCase: true }).grpc.testing.TestService;
      const on = new reflected(target, grpc.credentials.createInsecure());
      const { error, response } = await unary("UnaryCall", { response_size: 42 }, { on });
      assert.equal(error, null);
      assert.equal(response.payload.body.length, 42);
    }
  },
};

await cases[name]();
process.exit(0);
