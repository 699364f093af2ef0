using System.Buffers;
using System.Buffers.Text;
using System.Collections.Immutable;
using System.Net;
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

    /// <summary>For clients that sign their requests; null: none.</summary>
    public ImmutableArray<AccessKey>? AccessKeys { get; init; }

    /// <summary>With them the credential proves itself by signed assertions (RFC 7523), beside its secret.</summary>
    public ImmutableArray<ClientKey> ClientKeys { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>How it may prove itself as an OAuth client, and in no other way; null: as <see cref="ClientMethod.Usual"/> has it.</summary>
    public ImmutableArray<string>? ClientMethods { get; init; }

    /// <summary>A <see cref="ClientMethod"/>.</summary>
    public bool MayProveItselfBy(string method) => (ClientMethods ?? ClientMethod.Usual(ClientKeys)).Contains(method, StringComparer.Ordinal);

    /// <summary>When the secret was made that is current; null: with the credential.</summary>
    public DateTimeOffset? RotatedAt { get; init; }

    /// <summary>The secret before, good until <see cref="PreviousUntil"/> so that its users have time to change over.</summary>
    public string? PreviousSecretHash { get; init; }

    public DateTimeOffset? PreviousUntil { get; init; }

    /// <summary>Networks in CIDR notation that it may be used from; none: from anywhere.</summary>
    public ImmutableArray<string> Addresses
    {
        get => field.IsDefault ? [] : field;
        init
        {
            field = value;
            _networks = [.. (value.IsDefault ? [] : value).Select(n => IPNetwork.Parse(n))];
        }
    }

    private readonly ImmutableArray<IPNetwork> _networks;

    public const string PrincipalPrefix = "credential:";

    public string Principal => PrincipalPrefix + Name;

    /// <summary>Makes a credential and its bearer token, which is shown once and kept nowhere.</summary>
    public static (Credential Credential, string Token) Create(
        string name, ImmutableArray<Role> roles, DateTimeOffset now, DateTimeOffset? expiresAt)
    {
        var id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(IdLength / 2));
        var (hash, token) = NewSecret(id);
        var credential = new Credential
        {
            Id = id,
            Name = name,
            Roles = roles,
            SecretHash = hash,
            CreatedAt = now,
            ExpiresAt = expiresAt,
        };
        return (credential, token);
    }

    /// <summary>The same credential with a new secret; the one that is current now stays good for the overlap. One before that does not.</summary>
    public (Credential Credential, string Token) Rotate(DateTimeOffset now, TimeSpan overlap, DateTimeOffset? expiresAt)
    {
        var (hash, token) = NewSecret(Id);
        var rotated = this with
        {
            SecretHash = hash,
            RotatedAt = now,
            PreviousSecretHash = overlap > TimeSpan.Zero ? SecretHash : null,
            PreviousUntil = overlap > TimeSpan.Zero ? now + overlap : null,
            ExpiresAt = expiresAt,
        };
        return (rotated, token);
    }

    /// <summary>Splits a bearer token; false where it does not have the form of one of ours.</summary>
    public static bool TryReadToken(ReadOnlySpan<char> token, out string id, Span<byte> secretHash)
    {
        id = "";
        if (token.Length != TokenLength || !token.StartsWith(Prefix, StringComparison.Ordinal) || token[Prefix.Length + IdLength] != '_')
            return false;
        Span<byte> secret = stackalloc byte[SecretLength + 4];
        if (!TryDecode(token[(Prefix.Length + IdLength + 1)..], secret))
            return false;
        id = token.Slice(Prefix.Length, IdLength).ToString();
        SHA256.HashData(secret[..SecretLength], secretHash);
        CryptographicOperations.ZeroMemory(secret);
        return true;
    }

    /// <summary>Reads a client's secret: a whole bearer token, or the part of it behind the id.</summary>
    public static bool TryReadSecret(ReadOnlySpan<char> text, Span<byte> secretHash)
    {
        if (TryReadToken(text, out _, secretHash))
            return true;
        Span<byte> secret = stackalloc byte[SecretLength + 4];
        if (text.Length != TokenLength - Prefix.Length - IdLength - 1 || !TryDecode(text, secret))
            return false;
        SHA256.HashData(secret[..SecretLength], secretHash);
        CryptographicOperations.ZeroMemory(secret);
        return true;
    }

    /// <summary>Compares with both secrets in constant time, whatever the state of the credential.</summary>
    /// <param name="from">Where the caller is; null on a Unix socket, which no network holds.</param>
    public bool Accepts(ReadOnlySpan<byte> secretHash, DateTimeOffset now, IPAddress? from)
    {
        var isCurrent = IsHash(SecretHash, secretHash);
        var isPrevious = IsHash(PreviousSecretHash, secretHash) && now < PreviousUntil;
        return (isCurrent || isPrevious) && IsUsable(now, from);
    }

    /// <summary>Neither revoked nor expired, and used from where it may be; for callers that prove themselves in another way than by the secret.</summary>
    public bool IsUsable(DateTimeOffset now, IPAddress? from) => IsLive(now) && MayComeFrom(from);

    /// <summary>Neither revoked nor expired.</summary>
    public bool IsLive(DateTimeOffset now) => RevokedAt is null && (ExpiresAt is null || now < ExpiresAt);

    private bool MayComeFrom(IPAddress? from)
    {
        if (_networks.IsDefaultOrEmpty)
            return true;
        var address = from is { IsIPv4MappedToIPv6: true } ? from.MapToIPv4() : from;
        foreach (var network in _networks)
        {
            if (address is not null && network.Contains(address))
                return true;
        }

        return false;
    }

    /// <summary><c>TryDecodeFromChars</c> throws where a character or an unused bit is wrong; a stranger's mistake is none of ours.</summary>
    private static bool TryDecode(ReadOnlySpan<char> text, Span<byte> secret) =>
        Base64Url.DecodeFromChars(text, secret, out _, out var written) == OperationStatus.Done && written == SecretLength;

    private static bool IsHash(string? base64, ReadOnlySpan<byte> hash)
    {
        Span<byte> own = stackalloc byte[SHA256.HashSizeInBytes];
        return base64 is not null && Convert.TryFromBase64String(base64, own, out var written) && CryptographicOperations.FixedTimeEquals(own[..written], hash);
    }

    private static (string Hash, string Token) NewSecret(string id)
    {
        var secret = RandomNumberGenerator.GetBytes(SecretLength);
        var made = (Convert.ToBase64String(SHA256.HashData(secret)), $"{Prefix}{id}_{Base64Url.EncodeToString(secret)}");
        CryptographicOperations.ZeroMemory(secret);
        return made;
    }
}
