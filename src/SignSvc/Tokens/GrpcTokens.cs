using System.Buffers;
using System.Text;
using System.Text.Json;
using Google.Protobuf.WellKnownTypes;
using SignSvc.Access;
using SignSvc.Grpc;
using SignSvc.Http;
using SignSvc.Signing;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tokens;
using V1 = SignSvc.Grpc.V1;

namespace SignSvc.Tokens;

/// <summary><c>signsvc.v1.Tokens</c>.</summary>
internal sealed class GrpcTokens(Signer signer, LiveSnapshot live, TokenIssuing tokens)
{
    /// <summary>As for JSON bodies.</summary>
    private const int MaxClaimDepth = 16;

    public async ValueTask<V1.IssueResponse> IssueAsync(V1.IssueRequest request, GrpcCall call)
    {
        var order = new TokenOrder(request.Profile, Parse(request));
        return Answer(await signer.IssueAsync(call.HttpContext.Caller(), order, call.CancellationToken));
    }

    public async ValueTask<V1.IssueBatchResponse> IssueBatchAsync(V1.IssueBatchRequest request, GrpcCall call)
    {
        var items = Batches.Check([.. request.Items], TokenEndpoints.MaxBatch);
        var parsed = Batches.Parse(items, item => item.Profile.Length == 0
            ? new TokenOrder(request.Profile, Parse(item))
            : throw Wishes.Invalid("The profile is named by the batch, not by its items."));
        var outcomes = await signer.IssueBatchAsync(call.HttpContext.Caller(), Batches.Valid(parsed), call.CancellationToken);
        var results = Batches.Merge(
            parsed, outcomes,
            (_, issued) => new V1.IssueResult { Issued = Answer(issued) },
            refusal => new V1.IssueResult { Fault = Faults.Of(refusal).ToStatus() });
        return new V1.IssueBatchResponse { Results = { results } };
    }

    public ValueTask<V1.GetJwksResponse> GetJwks(V1.GetJwksRequest request, GrpcCall call)
    {
        var keys = KeysOf(request.Issuer);
        var isKnown = string.Equals(request.KnownEtag, keys.ETag, StringComparison.Ordinal);
        return ValueTask.FromResult(new V1.GetJwksResponse
        {
            KeySet = isKnown ? "" : Encoding.UTF8.GetString(keys.Json.Span),
            Etag = keys.ETag,
            MaxAgeSeconds = keys.MaxAge,
        });
    }

    /// <param name="issuer">Its URL, or its name where it is one that is hosted here; empty: the service's own.</param>
    private KeySet KeysOf(string issuer)
    {
        var sets = live.Current.KeySets;
        if (issuer.Length == 0 || string.Equals(issuer, tokens.DefaultIssuer, StringComparison.Ordinal))
            return sets.OfService;
        var name = sets.Issuers.FirstOrDefault(i => string.Equals(i, issuer, StringComparison.Ordinal) || string.Equals(tokens.UrlOf(i), issuer, StringComparison.Ordinal));
        return name is not null && sets.TryGetIssuer(name, out var keys)
            ? keys
            : throw new SigningException(SigningFault.NotFound, "There is no such issuer.");
    }

    private static TokenRequest Parse(V1.IssueRequest request) => TokenRequest.Parse(
        Wishes.Text(request.Subject),
        request.Audiences.Count switch
        {
            0 => null,
            1 => Json(writer => writer.WriteStringValue(request.Audiences[0])),
            _ => Json(writer =>
            {
                writer.WriteStartArray();
                foreach (var audience in request.Audiences)
                    writer.WriteStringValue(audience);
                writer.WriteEndArray();
            }),
        },
        request.LifetimeSeconds == 0 ? null : request.LifetimeSeconds,
        request.Claims is null ? null : Json(writer => Write(writer, request.Claims, depth: 1)));

    private static V1.IssueResponse Answer(IssuedToken issued) => new()
    {
        Token = issued.Token,
        ExpiresAt = Timestamp.FromDateTimeOffset(issued.ExpiresAt),
        Kid = issued.Kid,
        TokenId = issued.TokenId,
        AuditId = issued.AuditId,
    };

    private static JsonElement Json(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var writer = new Utf8JsonWriter(buffer))
            write(writer);
        using var document = JsonDocument.Parse(buffer.WrittenMemory);
        return document.RootElement.Clone();
    }

    private static void Write(Utf8JsonWriter writer, Struct claims, int depth)
    {
        if (depth > MaxClaimDepth)
            throw Wishes.Invalid("claims is nested too deeply.");
        writer.WriteStartObject();
        foreach (var (name, value) in claims.Fields)
        {
            writer.WritePropertyName(name);
            Write(writer, value, depth);
        }

        writer.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter writer, Value value, int depth)
    {
        switch (value.KindCase)
        {
            case Value.KindOneofCase.NullValue:
                writer.WriteNullValue();
                break;
            case Value.KindOneofCase.BoolValue:
                writer.WriteBooleanValue(value.BoolValue);
                break;
            case Value.KindOneofCase.StringValue:
                writer.WriteStringValue(value.StringValue);
                break;
            case Value.KindOneofCase.NumberValue when double.IsFinite(value.NumberValue):
                WriteNumber(writer, value.NumberValue);
                break;
            case Value.KindOneofCase.StructValue:
                Write(writer, value.StructValue, depth + 1);
                break;
            case Value.KindOneofCase.ListValue when depth < MaxClaimDepth:
                writer.WriteStartArray();
                foreach (var item in value.ListValue.Values)
                    Write(writer, item, depth + 1);
                writer.WriteEndArray();
                break;
            default:
                throw Wishes.Invalid("claims holds a value that JSON has not, or is nested too deeply.");
        }
    }

    /// <summary>A whole number is written as one: <c>1</c>, as over HTTP.</summary>
    private static void WriteNumber(Utf8JsonWriter writer, double number)
    {
        const double exact = 1L << 53;
        if (double.IsInteger(number) && Math.Abs(number) <= exact)
            writer.WriteNumberValue((long)number);
        else
            writer.WriteNumberValue(number);
    }
}

public static class GrpcTokenRoutes
{
    /// <summary>As many tokens as a batch may hold, and large ones. Clients say for themselves what they take.</summary>
    private const int MaxResponseBytes = 64 * 1024 * 1024;

    public static void MapGrpcTokens(this IEndpointRouteBuilder routes)
    {
        var services = routes.ServiceProvider;
        // Made with the first call: the issuer may be the first address served, which is not known before.
        var tokens = new Lazy<GrpcTokens>(() => new GrpcTokens(
            services.GetRequiredService<Signer>(), services.GetRequiredService<LiveSnapshot>(), services.GetRequiredService<TokenIssuing>()));
        routes.MapGrpcService(V1.TokensReflection.Descriptor.Services[0], methods =>
        {
            methods.MaxResponseBytes = MaxResponseBytes;
            methods
                .Unary<V1.IssueRequest, V1.IssueResponse>("Issue", (request, call) => tokens.Value.IssueAsync(request, call))
                .Unary<V1.IssueBatchRequest, V1.IssueBatchResponse>("IssueBatch", (request, call) => tokens.Value.IssueBatchAsync(request, call))
                .Unary<V1.GetJwksRequest, V1.GetJwksResponse>("GetJwks", (request, call) => tokens.Value.GetJwks(request, call));
        })
            .Finally(OpenKeySet);
    }

    /// <summary>Key sets are for everybody, over gRPC as over HTTP.</summary>
    private static void OpenKeySet(EndpointBuilder endpoint)
    {
        if (endpoint.Metadata.OfType<Google.Protobuf.Reflection.MethodDescriptor>().Any(m => m.Name is "GetJwks"))
            endpoint.Metadata.Add(new Microsoft.AspNetCore.Authorization.AllowAnonymousAttribute());
    }
}
