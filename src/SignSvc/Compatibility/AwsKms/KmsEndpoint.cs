using System.Buffers;
using System.Collections.Frozen;
using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using SignSvc.Access;
using SignSvc.Grpc;
using SignSvc.Http;
using SignSvc.Signing;
using SignSvc.Signing.Access;
using SignSvc.Signing.Storage;

namespace SignSvc.Compatibility.AwsKms;

/// <summary>
/// AWS KMS's API for clients that speak nothing else: <c>POST /</c> with <c>X-Amz-Target: TrentService.…</c>, signed with
/// an access key. Signature Version 4 stands in the place of the bearer token; everything behind it is the house's one path.
/// </summary>
internal sealed class KmsEndpoint(
    Credentials credentials, AccessKeys accessKeys, StrangerLog strangers, LiveSnapshot live, ProblemWriter problems, TimeProvider time,
    SigningOperations signing, KeyOperations keys, AliasOperations aliases, TagOperations tags)
{
    private const string Target = "TrentService.";
    private const string MediaType = "application/x-amz-json-1.1";

    private readonly FrozenDictionary<string, Func<KmsCall, Task<Action<Utf8JsonWriter>?>>> _operations =
        new Dictionary<string, Func<KmsCall, Task<Action<Utf8JsonWriter>?>>>(StringComparer.Ordinal)
        {
            ["Sign"] = signing.SignAsync,
            ["Verify"] = signing.VerifyAsync,
            ["GetPublicKey"] = keys.GetPublicKeyAsync,
            ["DescribeKey"] = keys.DescribeAsync,
            ["ListKeys"] = keys.ListAsync,
            ["CreateKey"] = keys.CreateAsync,
            ["EnableKey"] = keys.EnableAsync,
            ["DisableKey"] = keys.DisableAsync,
            ["UpdateKeyDescription"] = keys.UpdateDescriptionAsync,
            ["ScheduleKeyDeletion"] = keys.ScheduleDeletionAsync,
            ["CancelKeyDeletion"] = keys.CancelDeletionAsync,
            ["GetKeyRotationStatus"] = keys.GetRotationStatusAsync,
            ["ListAliases"] = aliases.ListAsync,
            ["CreateAlias"] = aliases.CreateAsync,
            ["UpdateAlias"] = aliases.UpdateAsync,
            ["DeleteAlias"] = aliases.DeleteAsync,
            ["TagResource"] = tags.TagAsync,
            ["UntagResource"] = tags.UntagAsync,
            ["ListResourceTags"] = tags.ListAsync,
        }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: no client of AWS KMS; it gets a problem.</exception>
    public async Task ServeAsync(HttpContext http)
    {
        var target = http.Request.Headers["X-Amz-Target"].ToString();
        if (target.Length == 0)
        {
            throw new SigningException(
                SigningFault.InvalidRequest,
                "POST / is for clients of AWS KMS, which name their operation in X-Amz-Target. SignSvc's own addresses begin with /v1.");
        }

        http.Response.Headers["x-amzn-RequestId"] = RequestId();
        KmsCall? call = null;
        try
        {
            var (caller, region, body) = await AuthenticateAsync(http);
            var operation = target.StartsWith(Target, StringComparison.Ordinal) ? _operations.GetValueOrDefault(target[Target.Length..]) : null;
            if (operation is null)
                throw new KmsException("UnknownOperationException", "SignSvc does not serve this operation; docs/compatibility.md lists what it serves.");
            call = new KmsCall(caller, target[Target.Length..], region, ParametersOf(body), http.RequestAborted);
            await AnswerAsync(http, call, await operation(call));
        }
        catch (KmsException e)
        {
            await RefuseAsync(http, new KmsFault(e.Type, e.Message, StatusCodes.Status400BadRequest), auditId: null);
        }
        catch (SigningException e)
        {
            problems.Note(Problems.Of(e));
            await RefuseAsync(http, FaultOf(e, call), e.AuditId);
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            await RefuseAsync(http, new KmsFault("ValidationException", "The request is too large.", StatusCodes.Status400BadRequest), auditId: null);
        }
    }

    /// <summary>A stranger costs neither a body nor a hash: both wait until the access key is known.</summary>
    private async Task<(Caller Caller, string Region, byte[] Body)> AuthenticateAsync(HttpContext http)
    {
        try
        {
            var signed = SignedRequest.Parse(http.Request, time.GetUtcNow());
            var (credential, secret) = await accessKeys.OpenAsync(signed.AccessKeyId, http.Connection.RemoteIpAddress, http.RequestAborted)
                ?? throw new KmsException("UnrecognizedClientException", "The security token included in the request is invalid.") { IsOfStranger = true };
            try
            {
                var body = await ClientJson.ReadBodyAsync(http);
                if (!signed.IsSignedWith(secret, http.Request, body))
                    throw SignedRequest.DoesNotMatch();
                credentials.NoteUse(credential);
                var identity = CallerRecognition.OfCredential(http, credential);
                http.Features.Set(identity);
                return (identity.Caller, signed.Region, body);
            }
            finally
            {
                CryptographicOperations.ZeroMemory(secret);
            }
        }
        catch (KmsException e) when (e.IsOfStranger)
        {
            await strangers.RecordAsync(
                new SigningException(SigningFault.Unauthenticated, e.Message), $"its signed request is refused: {e.Type}",
                http.Connection.RemoteIpAddress?.ToString(), http.RequestAborted);
            throw;
        }
    }

    private static ClientJson ParametersOf(byte[] body)
    {
        try
        {
            return ClientJson.Parse(body);
        }
        catch (SigningException e)
        {
            throw new KmsException("SerializationException", e.Message);
        }
    }

    private KmsFault FaultOf(SigningException e, KmsCall? call) =>
        KmsFaults.Of(e, call, call?.KeyReference is { } reference && live.Current.Keys.TryGet(reference, out var key) ? key : null);

    private static async Task AnswerAsync(HttpContext http, KmsCall call, Action<Utf8JsonWriter>? members)
    {
        if (call.AuditId is not null)
            http.Response.Headers[Faults.AuditIdTrailer] = call.AuditId;
        await WriteAsync(http, members ?? (_ => { }));
    }

    private static Task RefuseAsync(HttpContext http, KmsFault fault, string? auditId)
    {
        http.Response.StatusCode = fault.Status;
        if (auditId is not null)
            http.Response.Headers[Faults.AuditIdTrailer] = auditId;
        return WriteAsync(http, writer =>
        {
            writer.WriteString("__type", fault.Type);
            writer.WriteString("message", fault.Message);
        });
    }

    private static async Task WriteAsync(HttpContext http, Action<Utf8JsonWriter> members)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        await using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            members(writer);
            writer.WriteEndObject();
        }

        http.Response.ContentType = MediaType;
        http.Response.ContentLength = buffer.WrittenCount;
        await http.Response.Body.WriteAsync(buffer.WrittenMemory, http.RequestAborted);
    }

    /// <summary>The trace id in AWS's form, so that what a client shows leads to the audit and the log.</summary>
    private string RequestId() =>
        (Activity.Current?.TraceId.ToHexString() is { } trace ? Guid.ParseExact(trace, "N") : Guid.CreateVersion7(time.GetUtcNow())).ToString();
}

public static class KmsCompatibility
{
    public static void AddAwsKmsCompatibility(this IServiceCollection services)
    {
        services.AddSingleton<AccessKeys>();
        services.AddSingleton<SigningOperations>();
        services.AddSingleton<KeyOperations>();
        services.AddSingleton<AliasOperations>();
        services.AddSingleton<TagOperations>();
        services.AddSingleton<KmsEndpoint>();
    }

    /// <summary>Open to strangers for the bearer's sake alone: the endpoint authenticates by itself. Not described: AWS does.</summary>
    public static void MapAwsKms(this IEndpointRouteBuilder routes)
    {
        var kms = new Lazy<KmsEndpoint>(routes.ServiceProvider.GetRequiredService<KmsEndpoint>);
        routes.MapPost("/", (RequestDelegate)(http => kms.Value.ServeAsync(http))).AllowAnonymous().ExcludeFromDescription();
    }
}
