using System.Diagnostics.CodeAnalysis;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing;

/// <summary>One thing to sign with one key. Whether digest and algorithm fit the key is decided on the one path.</summary>
public sealed record SignRequest
{
    /// <summary>Id or name.</summary>
    public required string Key { get; init; }

    /// <summary>Null: the version that signs now.</summary>
    public int? Version { get; init; }

    /// <summary>Null: the key's first. Never anything else than one of the key's own.</summary>
    public SigningAlgorithm? Algorithm { get; init; }

    public required Payload Payload { get; init; }

    public SigningContext? Context { get; init; }

    /// <summary>How long its signature is of use; null: as long as the call that asks for it.</summary>
    public TimeSpan? Timeout { get; init; }
}

/// <summary>A digest, or a message that SignSvc hashes with the algorithm's hash.</summary>
public readonly record struct Payload(ReadOnlyMemory<byte> Bytes, bool IsMessage)
{
    public static Payload Digest(ReadOnlyMemory<byte> digest) => new(digest, IsMessage: false);

    public static Payload Message(ReadOnlyMemory<byte> message) => new(message, IsMessage: true);

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidDigest"/>: a digest of another length than the algorithm's.</exception>
    public ReadOnlyMemory<byte> DigestFor(SigningAlgorithm algorithm)
    {
        if (IsMessage)
            return algorithm.HashData(Bytes.Span);
        if (Bytes.Length != algorithm.DigestLength)
        {
            throw new SigningException(
                SigningFault.InvalidDigest,
                $"{algorithm} signs digests of {algorithm.DigestLength} bytes; this one has {Bytes.Length}.");
        }

        return Bytes;
    }
}

/// <summary>A signature whose audit record is durable.</summary>
/// <param name="Signature">r‖s for ECDSA, the modulus' length for RSA.</param>
public sealed record SignedDigest(byte[] Signature, SigningAlgorithm Algorithm, Key Key, KeyVersion Version, string AuditId);

/// <summary>A token whose audit record is durable.</summary>
/// <param name="Token">JWS compact serialization.</param>
public sealed record IssuedToken(string Token, DateTimeOffset IssuedAt, DateTimeOffset ExpiresAt, string Kid, string TokenId, string AuditId);

/// <param name="Version">The version that the signature is of; null where it is of none.</param>
public sealed record Verification(bool Valid, int? Version);

/// <summary>One item's outcome in a batch: an answer or a refusal, never both.</summary>
public readonly record struct Outcome<T>(T? Answer, SigningException? Refusal)
    where T : class
{
    [MemberNotNullWhen(true, nameof(Answer))]
    [MemberNotNullWhen(false, nameof(Refusal))]
    public bool IsAnswer => Answer is not null;
}

/// <summary>A token asked for under a profile.</summary>
public sealed record TokenOrder(string Profile, TokenRequest Request);
