using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tokens;

/// <summary>
/// The claims of a Kubernetes service account token, as kube-apiserver wrote them: they are signed byte for byte, and read
/// only as far as the audit and the life of the key depend on them.
/// </summary>
public sealed record ServiceAccountClaims
{
    /// <summary>Far above what kube-apiserver writes, which is less than 2 KiB.</summary>
    public const int MaxLength = 64 * 1024;

    private ServiceAccountClaims()
    {
    }

    /// <summary>Base64url without padding.</summary>
    public required string Encoded { get; init; }

    /// <summary>Until then the public key has to stay published.</summary>
    public required DateTimeOffset ExpiresAt { get; init; }

    public string? Subject { get; private init; }

    public string? TokenId { get; private init; }

    /// <summary>Several are joined by spaces.</summary>
    public string? Audience { get; private init; }

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: not base64url of a JSON object, or without <c>exp</c>: a token that never ended would keep its key published for ever.</exception>
    public static ServiceAccountClaims Parse(string encoded)
    {
        if (encoded.Length is 0 or > MaxLength)
            throw Invalid($"claims has from 1 to {MaxLength} characters.");
        try
        {
            // Strict: no padding, no white space, so that what is signed reads in one way alone.
            if (encoded.AsSpan().ContainsAny("= \t\r\n"))
                throw Invalid("claims is base64url without padding.");
            var claims = ForeignJson.Parse(Base64Url.DecodeFromChars(encoded));
            if (claims.ValueKind != JsonValueKind.Object)
                throw Invalid("claims is a JSON object.");
            if (!claims.TryGetProperty("exp", out var exp) || exp.ValueKind != JsonValueKind.Number || !exp.TryGetInt64(out var seconds)
                || seconds is < 0 or > 253_402_300_799)
            {
                throw Invalid("claims has the time exp, in whole seconds.");
            }

            return new ServiceAccountClaims
            {
                Encoded = encoded,
                ExpiresAt = DateTimeOffset.FromUnixTimeSeconds(seconds),
                Subject = Text(claims, "sub"),
                TokenId = Text(claims, "jti"),
                Audience = AudienceOf(claims),
            };
        }
        catch (Exception e) when (e is FormatException or JsonException)
        {
            throw new SigningException(SigningFault.InvalidRequest, "claims is base64url of a JSON object.", e);
        }
    }

    private static string? AudienceOf(JsonElement claims) =>
        claims.TryGetProperty("aud", out var audience) && audience.ValueKind == JsonValueKind.Array
            ? Cut(string.Join(' ', audience.EnumerateArray().Select(a => a.ToString())))
            : Text(claims, "aud");

    private static string? Text(JsonElement claims, string name) =>
        claims.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? Cut(value.GetString()!) : null;

    /// <summary>For the audit, whose records are bounded.</summary>
    private static string Cut(string text) => text.Length <= 1024 ? text : text[..1024];

    private static SigningException Invalid(string message) => new(SigningFault.InvalidRequest, message);
}

/// <summary>A service account token to sign.</summary>
/// <param name="Key">Id or name of a tokens key.</param>
/// <param name="MaxLifetime">What kube-apiserver was told is the longest lifetime.</param>
public sealed record ServiceAccountOrder(string Key, ServiceAccountClaims Claims, TimeSpan MaxLifetime);

/// <summary>A service account token whose audit record is durable, in kube-apiserver's parts.</summary>
/// <param name="Header">Base64url without padding, of alg, kid and typ alone.</param>
/// <param name="Signature">Base64url without padding, over header, dot and claims.</param>
public sealed record SignedServiceAccountToken(string Header, string Signature, string Kid, string AuditId)
{
    /// <summary>kube-apiserver takes these alone, and no other <c>typ</c>.</summary>
    public const string Type = "JWT";

    public static bool Takes(SigningAlgorithm algorithm) =>
        algorithm == SigningAlgorithm.RS256 || algorithm == SigningAlgorithm.ES256
        || algorithm == SigningAlgorithm.ES384 || algorithm == SigningAlgorithm.ES512;

    internal static byte[] SigningInput(string header, ServiceAccountClaims claims) => Encoding.ASCII.GetBytes($"{header}.{claims.Encoded}");
}
