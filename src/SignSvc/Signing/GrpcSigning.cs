using Google.Protobuf;
using SignSvc.Access;
using SignSvc.Grpc;
using SignSvc.Http;
using SignSvc.Keys;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Keys;
using V1 = SignSvc.Grpc.V1;

namespace SignSvc.Signing;

/// <summary><c>signsvc.v1.Signing</c>.</summary>
internal sealed class GrpcSigning(Signer signer, Settings settings)
{
    public async ValueTask<V1.SignResponse> SignAsync(V1.SignRequest request, GrpcCall call) =>
        await SignAsync(call.HttpContext.Caller(), request, call.CancellationToken);

    public async Task<V1.SignResponse> SignAsync(Signing.Access.Caller caller, V1.SignRequest request, CancellationToken cancellationToken)
    {
        var parsed = Parse(request, request.Key);
        return Answer(await signer.SignAsync(caller, parsed, cancellationToken), EncodingOf(request.Encoding));
    }

    public async ValueTask<V1.SignBatchResponse> SignBatchAsync(V1.SignBatchRequest request, GrpcCall call)
    {
        var items = Batches.Check([.. request.Items], SigningEndpoints.MaxBatch);
        var parsed = Batches.Parse(items, item => item.Key.Length == 0
            ? Parse(item, request.Key)
            : throw Wishes.Invalid("The key is named by the batch, not by its items."));
        var outcomes = await signer.SignBatchAsync(call.HttpContext.Caller(), Batches.Valid(parsed), call.CancellationToken);
        var results = Batches.Merge(
            parsed, outcomes,
            (i, signed) => new V1.SignResult { Signed = Answer(signed, EncodingOf(items[i].Encoding)) },
            refusal => new V1.SignResult { Fault = Faults.Of(refusal).ToStatus() });
        return new V1.SignBatchResponse { Results = { results } };
    }

    public async ValueTask<V1.VerifyResponse> VerifyAsync(V1.VerifyRequest request, GrpcCall call)
    {
        var encoding = EncodingOf(request.Encoding);
        var wish = new SignRequest
        {
            Key = request.Key,
            Version = Wishes.Version(request.Version),
            Algorithm = request.Algorithm.Length == 0 ? null : SigningAlgorithm.Parse(request.Algorithm),
            Payload = request.InputCase switch
            {
                V1.VerifyRequest.InputOneofCase.Digest => Payload.Digest(request.Digest.Memory),
                V1.VerifyRequest.InputOneofCase.Message => MessageOf(request.Message),
                _ => throw NoInput(),
            },
        };
        var signature = request.Signature.ToByteArray();
        var verification = await signer.VerifyAsync(
            call.HttpContext.Caller(), wish, key => SigningEndpoints.Decode(key.Spec, signature, encoding), call.CancellationToken);
        return new V1.VerifyResponse { Valid = verification.Valid, Version = (uint)(verification.Version ?? 0) };
    }

    public async ValueTask SignStreamAsync(
        IAsyncEnumerable<V1.SignStreamRequest> requests, ResponseWriter<V1.SignStreamResponse> responses, GrpcCall call)
    {
        using var stream = new GrpcSignStream(this, responses, call, settings.Grpc.StreamParallelism);
        await stream.RunAsync(requests);
    }

    private SignRequest Parse(V1.SignRequest request, string key)
    {
        EncodingOf(request.Encoding);
        return new SignRequest
        {
            Key = key,
            Version = Wishes.Version(request.Version),
            Algorithm = request.Algorithm.Length == 0 ? null : SigningAlgorithm.Parse(request.Algorithm),
            Payload = request.InputCase switch
            {
                V1.SignRequest.InputOneofCase.Digest => Payload.Digest(request.Digest.Memory),
                V1.SignRequest.InputOneofCase.Message => MessageOf(request.Message),
                _ => throw NoInput(),
            },
            Context = ContextOf(request.Context),
            Timeout = SignBody.TimeoutOf(Wishes.Span(request.Timeout, "timeout")?.TotalSeconds, "timeout"),
        };
    }

    private Payload MessageOf(ByteString message) => message.Length <= settings.Limits.BodyBytes
        ? Payload.Message(message.Memory)
        : throw new SigningException(
            SigningFault.TooLarge, $"A message has at most {settings.Limits.BodyBytes} bytes: hash it and send the digest.");

    private static SigningContext? ContextOf(V1.SigningContext? context) => context is null
        ? null
        : new SigningContext
        {
            Artifact = context.Artifact is { } artifact
                ? new ArtifactFacts(Wishes.Text(artifact.Type), Wishes.Text(artifact.Name), Wishes.Text(artifact.Uri))
                : null,
            Repository = Wishes.Text(context.Repository),
            Commit = Wishes.Text(context.Commit),
            Ref = Wishes.Text(context.Ref),
            Run = Wishes.Text(context.PipelineRun),
        };

    private static SignatureEncoding EncodingOf(V1.SignatureEncoding encoding) => encoding switch
    {
        V1.SignatureEncoding.Unspecified or V1.SignatureEncoding.Der => SignatureEncoding.Der,
        V1.SignatureEncoding.P1363 => SignatureEncoding.P1363,
        _ => throw Wishes.Unknown("encoding"),
    };

    private static V1.SignResponse Answer(SignedDigest made, SignatureEncoding encoding)
    {
        var answer = SignAnswer.Of(made, encoding);
        return new V1.SignResponse
        {
            Signature = UnsafeByteOperations.UnsafeWrap(answer.Signature),
            Algorithm = answer.Algorithm,
            Encoding = encoding == SignatureEncoding.Der ? V1.SignatureEncoding.Der : V1.SignatureEncoding.P1363,
            KeyId = answer.KeyId,
            Version = (uint)answer.Version,
            Kid = answer.Kid,
            AuditId = answer.AuditId,
            Protection = KeyMessages.Of(answer.Protection),
            Warnings = { answer.Warnings ?? [] },
        };
    }

    private static SigningException NoInput() => Wishes.Invalid("Give either digest or message.");
}

public static class GrpcSigningRoutes
{
    public static void MapGrpcSigning(this IEndpointRouteBuilder routes, Settings settings)
    {
        var services = routes.ServiceProvider;
        // Made with the first call: the issuer of tokens may be the first address served, which is not known before.
        var signing = new Lazy<GrpcSigning>(() => new GrpcSigning(services.GetRequiredService<Signer>(), settings));
        routes.MapGrpcService(V1.SigningReflection.Descriptor.Services[0], methods => methods
            .Unary<V1.SignRequest, V1.SignResponse>("Sign", (request, call) => signing.Value.SignAsync(request, call))
            .Unary<V1.VerifyRequest, V1.VerifyResponse>("Verify", (request, call) => signing.Value.VerifyAsync(request, call))
            .Unary<V1.SignBatchRequest, V1.SignBatchResponse>("SignBatch", (request, call) => signing.Value.SignBatchAsync(request, call))
            .Duplex<V1.SignStreamRequest, V1.SignStreamResponse>("SignStream", (requests, responses, call) => signing.Value.SignStreamAsync(requests, responses, call)));
    }
}
