namespace SignSvc.Cli.Signing;

internal sealed record ArtifactFacts(string? Type, string? Name, string? Uri);

internal sealed record SigningContext(ArtifactFacts? Artifact, string? Repository, string? Commit, string? Ref, string? Run);

internal sealed record SignBody(byte[] Digest, string Algorithm, string Encoding, SigningContext? Context);

internal sealed record SignAnswer(
    byte[] Signature, string Algorithm, string Encoding, int Version, string Kid, string Protection, string AuditId, string[]? Warnings);

internal sealed record VerifyBody(byte[] Digest, byte[] Signature, string Algorithm, string Encoding);

/// <param name="Version">Of the service alone.</param>
/// <param name="Kid">Of a local verification alone: the thumbprint of the public key.</param>
internal sealed record VerifyAnswer(bool Valid, int? Version = null, string? Kid = null);
