using System.Collections.Immutable;
using System.Text.Json;
using SignSvc.Signing.Artifacts;

namespace SignSvc.Cli.Signing;

internal sealed record SignBody(byte[] Digest, string Algorithm, string Encoding, SigningContext? Context, int? Version = null);

internal sealed record SignAnswer(
    byte[] Signature, string Algorithm, string Encoding, int Version, string Kid, string Protection, string AuditId, string[]? Warnings);

internal sealed record VerifyBody(byte[] Digest, byte[] Signature, string Algorithm, string Encoding);

/// <param name="Version">Of the service alone.</param>
/// <param name="Kid">Of a local verification alone: the thumbprint of the public key.</param>
internal sealed record VerifyAnswer(bool Valid, int? Version = null, string? Kid = null);

/// <summary>Either <paramref name="Digest"/> or <paramref name="Statement"/>.</summary>
internal sealed record BundleBody(string Algorithm, SigningContext? Context, byte[]? Digest = null, StatementBody? Statement = null);

internal sealed record StatementBody(ImmutableArray<Subject> Subject, string PredicateType, JsonElement Predicate);

/// <param name="Bundle">Goes into a file as it came.</param>
internal sealed record BundleAnswer(
    JsonElement Bundle, byte[] Signature, string Algorithm, int Version, string Kid, string Protection, string AuditId, string[]? Warnings);

/// <param name="Valid">The signature is one of the key over the statement, and the artifact is among its subjects.</param>
internal sealed record AttestationAnswer(bool Valid, int? Version, string? Kid, string? PredicateType, string? Subject);
