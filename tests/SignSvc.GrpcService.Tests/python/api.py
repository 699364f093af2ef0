"""The whole API on grpcio: api.py <file of a FileDescriptorSet> <host:port> <bearer token>"""
import hashlib
import sys
import threading

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

DESCRIPTORS, TARGET, TOKEN = sys.argv[1:4]
with open(DESCRIPTORS, "rb") as file:
    FILES = descriptor_pb2.FileDescriptorSet.FromString(file.read())
POOL = descriptor_pool.DescriptorPool()
for proto in FILES.file:
    POOL.Add(proto)
FACTORY = message_factory.MessageFactory(POOL)
CHANNEL = grpc.insecure_channel(TARGET)
BEARER = (("authorization", f"Bearer {TOKEN}"),)
DIGEST = hashlib.sha256(b"app.tar.gz").digest()


def message(name):
    return FACTORY.GetPrototype(POOL.FindMessageTypeByName(name))


def serialize(request):
    return request.SerializeToString()


def call(service, method, metadata=BEARER, timeout=60, compression=None, **fields):
    descriptor = POOL.FindServiceByName(f"signsvc.v1.{service}").methods_by_name[method]
    request = FACTORY.GetPrototype(descriptor.input_type)(**fields)
    response = FACTORY.GetPrototype(descriptor.output_type)
    stub = CHANNEL.unary_unary(f"/signsvc.v1.{service}/{method}", serialize, response.FromString)
    return stub(request, metadata=metadata, timeout=timeout, compression=compression)


def fails(code, *arguments, **fields):
    try:
        call(*arguments, **fields)
    except grpc.RpcError as error:
        assert error.code() == code, error
        return error
    raise AssertionError("succeeded")


# Signing, with and without compression.
for compression in (None, grpc.Compression.Gzip):
    text = b"x" * 500_000
    signed = call("Signing", "Sign", key="release", message=text, compression=compression)
    assert signed.signature and signed.audit_id and signed.protection == 1
    assert call("Signing", "Verify", key="release", message=text, signature=signed.signature, compression=compression).valid
    assert not call("Signing", "Verify", key="release", digest=DIGEST, signature=signed.signature).valid
batch = call("Signing", "SignBatch", key="release", items=[{"digest": DIGEST}, {"digest": b"short"}])
assert [r.WhichOneof("result") for r in batch.results] == ["signed", "fault"]

# A stream whose requests come one by one, each after the answer before.
Request, Response = message("signsvc.v1.SignStreamRequest"), message("signsvc.v1.SignStreamResponse")
TURN = threading.Semaphore(1)


def requests():
    for number in range(1, 101):
        TURN.acquire()
        yield Request(id=number, request={"key": "release", "digest": DIGEST})


seen = []
stream = CHANNEL.stream_stream("/signsvc.v1.Signing/SignStream", serialize, Response.FromString)
for answer in stream(requests(), metadata=BEARER):
    assert answer.result.WhichOneof("result") == "signed"
    seen.append(answer.id)
    TURN.release()
assert seen == list(range(1, 101))

# Tokens.
claims = message("google.protobuf.Struct")()
claims.fields["env"].string_value = "prod"
issued = call("Tokens", "Issue", profile="default", audiences=["api://deploy"], claims=claims)
assert issued.token.count(".") == 2
assert issued.kid in call("Tokens", "GetJwks", metadata=()).key_set
assert len(call("Tokens", "IssueBatch", profile="default", items=[{"audiences": ["a"]}] * 10).results) == 10

# Keys.
NAME = "python-key"
call("Keys", "CreateKey", name=NAME, purpose=1, spec="ECC_NIST_P256", tags={"from": "python"})
assert call("Keys", "UpdateKey", key=NAME, owner="python").key.owner == "python"
assert call("Keys", "RotateKey", key=NAME).version.version == 2
call("Keys", "PutAlias", alias="python/alias", key=NAME)
assert call("Keys", "GetAlias", alias="python/alias").alias.key_name == NAME
assert call("Keys", "ListAliases").aliases
call("Keys", "DeleteAlias", alias="python/alias")
assert len(call("Keys", "ListKeyVersions", key=NAME).versions) == 2
assert call("Keys", "RevokeKeyVersion", key=NAME, version=1, reason="ceased").version.revocation_reason == "ceased"
assert call("Keys", "DisableKey", key=NAME).key.state == 2
assert call("Keys", "EnableKey", key=NAME).key.state == 1
assert call("Keys", "ScheduleKeyDeletion", key=NAME, wait={"seconds": 7 * 86400}).key.state == 3
assert call("Keys", "CancelKeyDeletion", key=NAME).key.state == 2
assert call("Keys", "GetKey", key=NAME).key.name == NAME
assert [k.name for k in call("Keys", "ListKeys", tags={"from": "python"}).keys] == [NAME]
assert call("Keys", "GetPublicKey", key=NAME).public_key

# Faults with details, deadlines, cancellation.
error = fails(grpc.StatusCode.FAILED_PRECONDITION, "Signing", "Sign", key=NAME, digest=DIGEST)
trailers = dict(error.trailing_metadata())
status = message("google.rpc.Status").FromString(trailers["grpc-status-details-bin"])
info = message("google.rpc.ErrorInfo").FromString(status.details[0].value)
assert (info.reason, info.domain, info.metadata["auditId"]) == ("KEY_NOT_USABLE", "signsvc", trailers["signsvc-audit-id"])
fails(grpc.StatusCode.UNAUTHENTICATED, "Signing", "Sign", metadata=(), key="release", digest=DIGEST)
fails(grpc.StatusCode.INVALID_ARGUMENT, "Keys", "ScheduleKeyDeletion", key=NAME, wait={"seconds": 1})
call("Keys", "CreateKey", name="python-rsa", purpose=1, spec="RSA_4096")
fails(grpc.StatusCode.DEADLINE_EXCEEDED, "Signing", "SignBatch", timeout=0.3, key="python-rsa", items=[{"digest": DIGEST}] * 1000)
open_stream = stream(iter(lambda: threading.Event().wait() and None, 1), metadata=BEARER)
open_stream.cancel()
assert open_stream.code() == grpc.StatusCode.CANCELLED
CHANNEL.close()
