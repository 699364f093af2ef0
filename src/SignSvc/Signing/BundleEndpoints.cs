using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using SignSvc.Access;
using SignSvc.Http;
using SignSvc.Keys;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing;

/// <summary>Exactly one of <paramref name="Digest"/>, <paramref name="Message"/> and <paramref name="Statement"/>.</summary>
/// <param name="Digest">Base64 of an artifact's digest, of the algorithm's length.</param>
/// <param name="Message">Base64 of an artifact that SignSvc hashes.</param>
/// <param name="Algorithm">JWA or AWS KMS name; default: the key's first.</param>
/// <param name="Version">Default: the version that signs now.</param>
/// <param name="Context">For policy and audit. Of a statement the artifacts are its subjects: only repository, commit, ref and run.</param>
public sealed record BundleBody(
    byte[]? Digest = null, byte[]? Message = null, StatementBody? Statement = null, string? Algorithm = null, int? Version = null,
    SigningContext? Context = null);

/// <param name="Subject">1 to 1,000 artifacts.</param>
/// <param name="PredicateType">A URI: SLSA provenance, an SBOM's format, or your own.</param>
/// <param name="Predicate">A JSON object.</param>
/// <param name="Type"><c>https://in-toto.io/Statement/v1</c>, or left out.</param>
public sealed record StatementBody(
    ImmutableArray<Subject> Subject, string PredicateType, JsonElement Predicate, [property: JsonPropertyName("_type")] string? Type = null);

/// <param name="Bundle">To be written into a file as it is.</param>
/// <param name="Signature">Base64: the bare signature, as cosign takes it beside an artifact. DER for ECDSA. Of a statement: over its DSSE encoding.</param>
public sealed record BundleAnswer(
    SigstoreBundle Bundle, byte[] Signature, string Algorithm, string KeyId, int Version, string Kid, Protection Protection, string AuditId,
    ImmutableArray<string>? Warnings)
{
    public static BundleAnswer Of(SignedDigest made, SigstoreBundle bundle)
    {
        var warnings = KeyWarnings.Of(made.Key, made.Version.Protection);
        if (SigstoreBundle.Warning(made.Algorithm) is { } warning)
            warnings = (warnings ?? []).Add(warning);
        return new BundleAnswer(
            bundle, SigstoreBundle.Encode(made.Version.PublicKey, made.Signature), made.Algorithm.Name, made.Key.Id, made.Version.Number,
            made.Version.Kid, made.Version.Protection, made.AuditId, warnings);
    }
}

/// <param name="Items">1 to 1,000 artifacts; together they are one statement and one signature.</param>
/// <param name="Context">For policy and audit: repository, commit, ref and run.</param>
public sealed record AttestBatchBody(
    ImmutableArray<AttestItem> Items, string PredicateType, JsonElement Predicate, string? Algorithm = null, int? Version = null,
    SigningContext? Context = null);

/// <param name="Digest">Base64 of the artifact's SHA-256, SHA-384 or SHA-512.</param>
public sealed record AttestItem(byte[] Digest, string? Name = null);

/// <summary><c>/v1/keys/{key}/bundle</c> and <c>attest-batch</c>: signatures in the files that Sigstore's verifiers read.</summary>
public static class BundleEndpoints
{
    public static void MapBundles(this IEndpointRouteBuilder routes)
    {
        var batchBytes = routes.ServiceProvider.GetRequiredService<Embedded.Node>().Settings.Limits.BatchBodyBytes;
        var group = routes.MapGroup("/v1/keys/{key}").WithTags("Signing").WithProblems();
        // An SBOM is larger than a digest.
        group.MapPost("/bundle", BundleAsync).WithName("SignBundle").WithMetadata(new RequestSizeLimitAttribute(batchBytes));
        group.MapPost("/attest-batch", AttestBatchAsync).WithName("AttestBatch").WithMetadata(new RequestSizeLimitAttribute(batchBytes));
    }

    private static async Task<Ok<BundleAnswer>> BundleAsync(
        HttpContext http, string key, BundleBody body, Signer signer, CancellationToken cancellationToken)
    {
        if (body.Statement is not { } asked)
            return TypedResults.Ok(await SignDigestAsync(http, key, body, signer, cancellationToken));
        if (body is { Digest: not null } or { Message: not null })
            throw new SigningException(SigningFault.InvalidRequest, "Give one of digest, message and statement.");
        if (asked.Type is not (null or InTotoStatement.Type))
            throw new SigningException(SigningFault.InvalidRequest, $"statement._type is {InTotoStatement.Type}, or left out.");
        var statement = InTotoStatement.Create(asked.Subject, asked.PredicateType, asked.Predicate);
        var request = Ask(key, body.Algorithm, body.Version);
        return TypedResults.Ok(await SignStatementAsync(http, statement, body.Context, request, signer, cancellationToken));
    }

    private static async Task<Ok<BundleAnswer>> AttestBatchAsync(
        HttpContext http, string key, AttestBatchBody body, Signer signer, CancellationToken cancellationToken)
    {
        var items = Batches.Check(body.Items, InTotoStatement.MaxSubjects);
        var subjects = items.Select(i => Subject.Of(i.Name, i.Digest)).ToImmutableArray();
        var statement = InTotoStatement.Create(subjects, body.PredicateType, body.Predicate);
        var request = Ask(key, body.Algorithm, body.Version);
        return TypedResults.Ok(await SignStatementAsync(http, statement, body.Context, request, signer, cancellationToken));
    }

    private static async Task<BundleAnswer> SignDigestAsync(
        HttpContext http, string key, BundleBody body, Signer signer, CancellationToken cancellationToken)
    {
        if (body.Context is { Subjects: not null } or { PredicateType: not null })
            throw new SigningException(SigningFault.InvalidRequest, "context.subjects and context.predicateType belong to statements.");
        var request = Ask(key, body.Algorithm, body.Version) with
        {
            Payload = SignBody.PayloadOf(body.Digest, body.Message),
            Context = body.Context,
        };
        var made = await signer.SignAsync(http.Caller(), request, cancellationToken);
        var digest = request.Payload.DigestFor(made.Algorithm);
        return BundleAnswer.Of(made, SigstoreBundle.OfDigest(made.Version.PublicKey, made.Algorithm, digest.Span, made.Signature));
    }

    private static async Task<BundleAnswer> SignStatementAsync(
        HttpContext http, InTotoStatement statement, SigningContext? context, SignRequest request, Signer signer, CancellationToken cancellationToken)
    {
        var payload = statement.ToPayload();
        var made = await signer.SignAsync(
            http.Caller(),
            request with { Payload = Payload.Message(Dsse.Encode(Dsse.InTotoType, payload)), Context = statement.ContextFor(context) },
            cancellationToken);
        return BundleAnswer.Of(made, SigstoreBundle.OfStatement(made.Version.PublicKey, payload, made.Signature));
    }

    private static SignRequest Ask(string key, string? algorithm, int? version) => new()
    {
        Key = key,
        Version = version,
        Algorithm = algorithm is null ? null : SigningAlgorithm.Parse(algorithm),
        Payload = default,
    };
}
