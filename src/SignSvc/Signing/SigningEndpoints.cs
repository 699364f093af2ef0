using System.Collections.Immutable;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using SignSvc.Access;
using SignSvc.Http;
using SignSvc.Keys;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing;

/// <param name="Digest">Base64 of the digest, of the algorithm's length. Either this or <paramref name="Message"/>.</param>
/// <param name="Message">Base64 of a message that SignSvc hashes.</param>
/// <param name="Algorithm">JWA or AWS KMS name; default: the key's first.</param>
/// <param name="Version">Default: the version that signs now.</param>
/// <param name="Encoding">Of an ECDSA signature: <c>der</c> (default) or <c>p1363</c> (r‖s).</param>
/// <param name="Context">What is being signed, for policy and audit.</param>
/// <param name="TimeoutSeconds">How long this signature is of use, counted from its turn; above 0, at most 300. A sooner <c>Request-Timeout</c> wins.</param>
public sealed record SignBody(
    byte[]? Digest = null, byte[]? Message = null, string? Algorithm = null, int? Version = null,
    SignatureEncoding Encoding = SignatureEncoding.Der, SigningContext? Context = null, double? TimeoutSeconds = null)
{
    private const double MostSeconds = 300;

    public SignRequest For(string key) => new()
    {
        Key = key,
        Version = Version,
        Algorithm = Algorithm is null ? null : SigningAlgorithm.Parse(Algorithm),
        Payload = PayloadOf(Digest, Message),
        Context = Context,
        Timeout = TimeoutOf(TimeoutSeconds, "timeoutSeconds"),
    };

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, under the name that the caller knows.</exception>
    internal static TimeSpan? TimeoutOf(double? seconds, string name) => seconds switch
    {
        null => null,
        > 0 and <= MostSeconds => TimeSpan.FromSeconds(seconds.Value),
        _ => throw new SigningException(SigningFault.InvalidRequest, $"{name} is above 0, at most {MostSeconds} seconds."),
    };

    internal static Payload PayloadOf(byte[]? digest, byte[]? message) => (digest, message) switch
    {
        (not null, null) => Payload.Digest(digest),
        (null, not null) => Payload.Message(message),
        _ => throw new SigningException(SigningFault.InvalidRequest, "Give either digest or message."),
    };
}

/// <param name="Signature">Base64.</param>
/// <param name="Warnings">What the caller should know, such as that the key lives in software.</param>
public sealed record SignAnswer(
    byte[] Signature, string Algorithm, SignatureEncoding Encoding, string KeyId, int Version, string Kid,
    Protection Protection, string AuditId, ImmutableArray<string>? Warnings)
{
    public static SignAnswer Of(SignedDigest made, SignatureEncoding encoding) => new(
        made.Algorithm.Family == KeyFamily.Ecc && encoding == SignatureEncoding.Der
            ? EcdsaEncoding.ToDer(made.Signature)
            : made.Signature,
        made.Algorithm.Name, encoding, made.Key.Id, made.Version.Number, made.Version.Kid,
        made.Version.Protection, made.AuditId, KeyWarnings.Of(made.Key, made.Version.Protection));
}

/// <summary>One item's answer, or its problem.</summary>
public sealed record SignItemAnswer(
    byte[]? Signature = null, string? Algorithm = null, SignatureEncoding? Encoding = null, string? KeyId = null,
    int? Version = null, string? Kid = null, Protection? Protection = null, string? AuditId = null, Problem? Problem = null)
{
    public static SignItemAnswer Of(SignAnswer a) =>
        new(a.Signature, a.Algorithm, a.Encoding, a.KeyId, a.Version, a.Kid, a.Protection, a.AuditId);
}

/// <param name="Items">1 to 1,000, as for a single signature.</param>
public sealed record SignBatchBody(ImmutableArray<SignBody> Items);

/// <param name="Results">In the order of the items.</param>
public sealed record SignBatchAnswer(ImmutableArray<SignItemAnswer> Results);

/// <param name="Signature">Base64, in <paramref name="Encoding"/>.</param>
/// <param name="Version">Default: any published version.</param>
public sealed record VerifyBody(
    byte[] Signature, byte[]? Digest = null, byte[]? Message = null, string? Algorithm = null, int? Version = null,
    SignatureEncoding Encoding = SignatureEncoding.Der);

public sealed record VerifyAnswer(bool Valid, int? Version);

/// <summary><c>/v1/keys/{key}/sign</c>, <c>sign-batch</c>, <c>verify</c>.</summary>
public static class SigningEndpoints
{
    public const int MaxBatch = 1000;

    public static void MapSigning(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/keys/{key}").WithTags("Signing").WithProblems();
        var batchBytes = routes.ServiceProvider.GetRequiredService<Embedded.Node>().Settings.Limits.BatchBodyBytes;
        group.MapPost("/sign", SignAsync).WithName("Sign");
        group.MapPost("/sign-batch", SignBatchAsync).WithName("SignBatch").WithMetadata(new RequestSizeLimitAttribute(batchBytes));
        group.MapPost("/verify", VerifyAsync).WithName("Verify");
    }

    private static async Task<Ok<SignAnswer>> SignAsync(
        HttpContext http, string key, SignBody body, Signer signer, CancellationToken cancellationToken)
    {
        var signed = await signer.SignAsync(http.Caller(), body.For(key), cancellationToken);
        return TypedResults.Ok(SignAnswer.Of(signed, body.Encoding));
    }

    private static async Task<Ok<SignBatchAnswer>> SignBatchAsync(
        HttpContext http, string key, SignBatchBody body, Signer signer, CancellationToken cancellationToken)
    {
        var items = Batches.Check(body.Items, MaxBatch);
        var parsed = Batches.Parse(items, item => item.For(key));
        var outcomes = await signer.SignBatchAsync(http.Caller(), Batches.Valid(parsed), cancellationToken);
        var results = Batches.Merge(
            parsed, outcomes,
            (i, signed) => SignItemAnswer.Of(SignAnswer.Of(signed, items[i].Encoding)),
            refusal => new SignItemAnswer(Problem: Problems.Of(refusal)));
        return TypedResults.Ok(new SignBatchAnswer(results));
    }

    private static async Task<Ok<VerifyAnswer>> VerifyAsync(
        HttpContext http, string key, VerifyBody body, Signer signer, CancellationToken cancellationToken)
    {
        var request = new SignRequest
        {
            Key = key,
            Version = body.Version,
            Algorithm = body.Algorithm is null ? null : SigningAlgorithm.Parse(body.Algorithm),
            Payload = SignBody.PayloadOf(body.Digest, body.Message),
        };
        var verification = await signer.VerifyAsync(
            http.Caller(), request, found => Decode(found.Spec, body.Signature, body.Encoding), cancellationToken);
        return TypedResults.Ok(new VerifyAnswer(verification.Valid, verification.Version));
    }

    /// <summary>To r‖s; null where it is not a signature at all.</summary>
    internal static byte[]? Decode(KeySpec spec, byte[] signature, SignatureEncoding encoding)
    {
        if (spec.Family == KeyFamily.Rsa || encoding == SignatureEncoding.P1363)
            return signature;
        return EcdsaEncoding.TryFromDer(signature, spec.FieldLength, out var p1363) ? p1363 : null;
    }
}
