"""gRPC's interoperability cases (doc/interop-test-descriptions.md) and more, on grpcio.

interop.py <file of a FileDescriptorSet> <host:port> <case>; exit code 0 if the case holds.
"""
import sys
import threading

import grpc
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

DESCRIPTORS, TARGET, CASE = sys.argv[1:4]

with open(DESCRIPTORS, "rb") as file:
    FILES = descriptor_pb2.FileDescriptorSet.FromString(file.read())
POOL = descriptor_pool.DescriptorPool()
for proto in FILES.file:
    POOL.Add(proto)
FACTORY = message_factory.MessageFactory(POOL)


def message(name):
    return FACTORY.GetPrototype(POOL.FindMessageTypeByName(name))


Empty = message("grpc.testing.Empty")
SimpleRequest = message("grpc.testing.SimpleRequest")
SimpleResponse = message("grpc.testing.SimpleResponse")
InputRequest = message("grpc.testing.StreamingInputCallRequest")
InputResponse = message("grpc.testing.StreamingInputCallResponse")
OutputRequest = message("grpc.testing.StreamingOutputCallRequest")
OutputResponse = message("grpc.testing.StreamingOutputCallResponse")
HealthRequest = message("grpc.health.v1.HealthCheckRequest")
HealthResponse = message("grpc.health.v1.HealthCheckResponse")

CHANNEL = grpc.insecure_channel(TARGET)
SERVICE = "/grpc.testing.TestService/"


def serialize(request):
    return request.SerializeToString()


def unary(method, response, channel=CHANNEL, service=SERVICE):
    return channel.unary_unary(service + method, serialize, response.FromString)


def duplex():
    return CHANNEL.stream_stream(SERVICE + "FullDuplexCall", serialize, OutputResponse.FromString)


def payload(size):
    return {"body": bytes(size)}


def fails(call, code):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        return error
    raise AssertionError("succeeded")


def empty_unary():
    assert unary("EmptyCall", Empty)(Empty()) == Empty()


def large_unary():
    answer = unary("UnaryCall", SimpleResponse)(SimpleRequest(response_size=314159, payload=payload(271828)))
    assert len(answer.payload.body) == 314159


def client_streaming():
    call = CHANNEL.stream_unary(SERVICE + "StreamingInputCall", serialize, InputResponse.FromString)
    answer = call(InputRequest(payload=payload(size)) for size in (27182, 8, 1828, 45904))
    assert answer.aggregated_payload_size == 74922


def server_streaming():
    sizes = [31415, 9, 2653, 58979]
    call = CHANNEL.unary_stream(SERVICE + "StreamingOutputCall", serialize, OutputResponse.FromString)
    answers = call(OutputRequest(response_parameters=[{"size": size} for size in sizes]))
    assert [len(answer.payload.body) for answer in answers] == sizes


def ping_pong():
    received = threading.Semaphore(1)
    pairs = [(27182, 31415), (8, 9), (1828, 2653), (45904, 58979)]

    def requests():
        for sent, asked in pairs:
            received.acquire()
            yield OutputRequest(response_parameters=[{"size": asked}], payload=payload(sent))

    sizes = []
    for answer in duplex()(requests()):
        sizes.append(len(answer.payload.body))
        received.release()
    assert sizes == [asked for _, asked in pairs]


def empty_stream():
    assert not list(duplex()(iter(())))


def cancel_after_begin():
    never = threading.Event()

    def requests():
        never.wait()
        yield InputRequest()

    call = CHANNEL.stream_unary(SERVICE + "StreamingInputCall", serialize, InputResponse.FromString)
    future = call.future(requests())
    future.cancel()
    never.set()
    assert future.cancelled()
    assert future.code() == grpc.StatusCode.CANCELLED


def cancel_after_first_response():
    done = threading.Event()

    def requests():
        yield OutputRequest(response_parameters=[{"size": 31415}], payload=payload(27182))
        done.wait()

    answers = duplex()(requests())
    assert len(next(answers).payload.body) == 31415
    answers.cancel()
    done.set()
    fails(lambda: next(answers), grpc.StatusCode.CANCELLED)


def timeout_on_sleeping_server():
    done = threading.Event()

    def requests():
        yield OutputRequest(payload=payload(27182), response_parameters=[{"size": 1, "interval_us": 30_000_000}])
        done.wait()

    fails(lambda: list(duplex()(requests(), timeout=0.02)), grpc.StatusCode.DEADLINE_EXCEEDED)
    done.set()


def status_code_and_message():
    status = {"code": 2, "message": "test status message"}
    error = fails(lambda: unary("UnaryCall", SimpleResponse)(SimpleRequest(response_status=status)), grpc.StatusCode.UNKNOWN)
    assert error.details() == "test status message"
    error = fails(lambda: list(duplex()(iter([OutputRequest(response_status=status)]))), grpc.StatusCode.UNKNOWN)
    assert error.details() == "test status message"


def special_status_message():
    text = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
    request = SimpleRequest(response_status={"code": 2, "message": text})
    assert fails(lambda: unary("UnaryCall", SimpleResponse)(request), grpc.StatusCode.UNKNOWN).details() == text


def unimplemented_method():
    fails(lambda: unary("UnimplementedCall", Empty)(Empty()), grpc.StatusCode.UNIMPLEMENTED)


def unimplemented_service():
    call = unary("UnimplementedCall", Empty, service="/grpc.testing.UnimplementedService/")
    fails(lambda: call(Empty()), grpc.StatusCode.UNIMPLEMENTED)


def custom_metadata():
    sent = (
        ("x-grpc-test-echo-initial", "test_initial_metadata_value"),
        ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab"),
    )
    _, call = unary("UnaryCall", SimpleResponse).with_call(SimpleRequest(response_size=314159), metadata=sent)
    streamed = duplex()(iter([OutputRequest(response_parameters=[{"size": 314159}])]), metadata=sent)
    # The headers come before the first answer is asked for.
    assert ("x-grpc-test-echo-initial", "test_initial_metadata_value") in streamed.initial_metadata()
    assert len(list(streamed)) == 1
    for seen in (call, streamed):
        assert ("x-grpc-test-echo-initial", "test_initial_metadata_value") in seen.initial_metadata()
        assert ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab") in seen.trailing_metadata()


def client_compressed_unary():
    request = SimpleRequest(response_size=314159, payload=payload(271828), expect_compressed={"value": True})
    call = unary("UnaryCall", SimpleResponse)
    fails(lambda: call(request), grpc.StatusCode.INVALID_ARGUMENT)
    assert len(call(request, compression=grpc.Compression.Gzip).payload.body) == 314159
    request.expect_compressed.value = False
    assert len(call(request).payload.body) == 314159


def deflate_is_refused():
    request = SimpleRequest(payload=payload(271828))
    call = unary("UnaryCall", SimpleResponse)
    fails(lambda: call(request, compression=grpc.Compression.Deflate), grpc.StatusCode.UNIMPLEMENTED)


def server_compressed_unary():
    for value in (True, False):
        request = SimpleRequest(response_size=314159, payload=payload(271828), response_compressed={"value": value})
        assert len(unary("UnaryCall", SimpleResponse)(request).payload.body) == 314159


def server_compressed_streaming():
    parameters = [{"size": 31415, "compressed": {"value": True}}, {"size": 92653, "compressed": {"value": False}}]
    call = CHANNEL.unary_stream(SERVICE + "StreamingOutputCall", serialize, OutputResponse.FromString)
    answers = call(OutputRequest(response_parameters=parameters))
    assert [len(answer.payload.body) for answer in answers] == [31415, 92653]


def error_details():
    call = unary("UnaryCall", SimpleResponse)
    error = fails(lambda: call(SimpleRequest(), metadata=(("x-fail", "details"),)), grpc.StatusCode.RESOURCE_EXHAUSTED)
    trailers = dict(error.trailing_metadata())
    status = message("google.rpc.Status").FromString(trailers["grpc-status-details-bin"])
    assert (status.code, status.message) == (8, "Too much of ☺.")
    kinds = [detail.type_url.rpartition(".")[2] for detail in status.details]
    assert kinds == ["ErrorInfo", "RetryInfo", "BadRequest"], kinds
    info = message("google.rpc.ErrorInfo").FromString(status.details[0].value)
    assert (info.reason, info.domain, info.metadata["key"]) == ("RATE_LIMITED", "signsvc", "release")
    retry = message("google.rpc.RetryInfo").FromString(status.details[1].value)
    assert (retry.retry_delay.seconds, retry.retry_delay.nanos) == (1, 500_000_000)
    request = message("google.rpc.BadRequest").FromString(status.details[2].value)
    assert request.field_violations[0].field == "digest"


def huge_details_are_left_out():
    call = unary("UnaryCall", SimpleResponse)
    error = fails(lambda: call(SimpleRequest(), metadata=(("x-fail", "huge-details"),)), grpc.StatusCode.NOT_FOUND)
    assert error.details() == "x" * 1024
    assert "grpc-status-details-bin" not in dict(error.trailing_metadata())


def trailers_of_a_failure():
    call = unary("UnaryCall", SimpleResponse)
    error = fails(lambda: call(SimpleRequest(), metadata=(("x-fail", "trailers"),)), grpc.StatusCode.ABORTED)
    trailers = dict(error.trailing_metadata())
    assert trailers["x-text"] == "seen"
    assert trailers["x-bytes-bin"] == b"\x00\x01\xfe\xff"


def health():
    check = unary("Check", HealthResponse, service="/grpc.health.v1.Health/")
    assert check(HealthRequest()).status == 1
    assert check(HealthRequest(service="grpc.testing.TestService")).status == 1
    fails(lambda: check(HealthRequest(service="nobody")), grpc.StatusCode.NOT_FOUND)


def health_watch():
    """Prints each status; the test changes it in between and ends by stopping the server."""
    watch = CHANNEL.unary_stream("/grpc.health.v1.Health/Watch", serialize, HealthResponse.FromString)
    try:
        for answer in watch(HealthRequest(service="watched")):
            print(HealthResponse.ServingStatus.Name(answer.status), flush=True)
    except grpc.RpcError as error:
        print(error.code().name, flush=True)


globals()[CASE]()
CHANNEL.close()
