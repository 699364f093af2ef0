using System.Buffers.Text;
using System.Collections.Immutable;
using System.Security.Cryptography;

namespace SignSvc.Signing.Access;

/// <summary>
/// A service credential: a random 256-bit secret of which only the SHA-256 is kept. (A slow password hash guards
/// guessable secrets; this one cannot be guessed, and every request pays for the check.)
/// The bearer token is <c>ssv1_</c>, the credential's id, <c>_</c>, the secret in base64url.
/// </summary>
public sealed record Credential
{
    private const string Prefix = "ssv1_";
    private const int IdLength = 16;
    private const int SecretLength = 32;
    private const int TokenLength = 5 + IdLength + 1 + 43;

    /// <summary>16 hex digits.</summary>
    public required string Id { get; init; }

    /// <summary>See <see cref="Keys.KeyName"/>; never used twice, so that the audit stays clear.</summary>
    public required string Name { get; init; }

    public required ImmutableArray<Role> Roles { get; init; }

    /// <summary>Base64 of SHA-256 of the secret's bytes.</summary>
    public required string SecretHash { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>From then on it is refused; null: never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    public DateTimeOffset? RevokedAt { get; init; }

    public string Principal => $"credential:{Name}";

    /// <summary>Makes a credential and its bearer token, which is shown once and kept nowhere.</summary>
    public static (Credential Credential, string Token) Create(
        string name, ImmutableArray<Role> roles, DateTimeOffset now, DateTimeOffset? expiresAt)
    {
        var secret = RandomNumberGenerator.GetBytes(SecretLength);
        var id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(IdLength / 2));
        var credential = new Credential
        {
            Id = id,
            Name = name,
            Roles = roles,
            SecretHash = Convert.ToBase64String(SHA256.HashData(secret)),
            CreatedAt = now,
            ExpiresAt = expiresAt,
        };
        var token = $"{Prefix}{id}_{Base64Url.EncodeToString(secret)}";
        CryptographicOperations.ZeroMemory(secret);
        return (credential, token);
    }

    /// <summary>Splits a bearer token; false where it does not have the form of one of ours.</summary>
    public static bool TryReadToken(ReadOnlySpan<char> token, out string id, Span<byte> secretHash)
    {
        id = "";
        if (token.Length != TokenLength || !token.StartsWith(Prefix, StringComparison.Ordinal) || token[Prefix.Length + IdLength] != '_')
            return false;
        Span<byte> secret = stackalloc byte[SecretLength + 4];
        if (!Base64Url.TryDecodeFromChars(token[(Prefix.Length + IdLength + 1)..], secret, out var written) || written != SecretLength)
            return false;
        id = token.Slice(Prefix.Length, IdLength).ToString();
        SHA256.HashData(secret[..SecretLength], secretHash);
        CryptographicOperations.ZeroMemory(secret);
        return true;
    }

    /// <summary>Compares in constant time, whatever the state of the credential.</summary>
    public bool Accepts(ReadOnlySpan<byte> secretHash, DateTimeOffset now)
    {
        Span<byte> own = stackalloc byte[SHA256.HashSizeInBytes];
        var isRight = Convert.TryFromBase64String(SecretHash, own, out _)
            && CryptographicOperations.FixedTimeEquals(own, secretHash);
        return isRight && IsValidAt(now);
    }

    public bool IsValidAt(DateTimeOffset now) => RevokedAt is null && (ExpiresAt is null || now < ExpiresAt);
}
