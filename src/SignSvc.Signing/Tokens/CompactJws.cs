using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tokens;

/// <summary>
/// A JWT that somebody else made, read strictly: three parts of base64url, a header and claims that are JSON objects
/// without a member twice. Of the header only <c>alg</c>, <c>kid</c>, <c>typ</c> and, where it is asked for, <c>jwk</c>
/// are read; nothing in it causes I/O, and <c>crit</c> is refused (RFC 7515 section 4.1.11, RFC 8725).
/// </summary>
public sealed class CompactJws
{
    private const int MaxLength = 16 * 1024;

    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 16 };

    private readonly byte[] _signingInput;
    private readonly byte[] _signature;

    private CompactJws(JsonElement header, JsonElement claims, byte[] signingInput, byte[] signature)
    {
        Header = header;
        Claims = claims;
        _signingInput = signingInput;
        _signature = signature;
    }

    public JsonElement Header { get; }

    /// <summary>Not to be believed before <see cref="IsSignedBy"/>.</summary>
    public JsonElement Claims { get; }

    public string? Algorithm => Text(Header, "alg");

    public string? Kid => Text(Header, "kid");

    public string? Type => Text(Header, "typ");

    /// <returns>Null where it is no JWT.</returns>
    public static CompactJws? TryParse(string? text)
    {
        if (text is null or { Length: > MaxLength } || text.Split('.') is not [var header, var payload, var signature])
            return null;
        try
        {
            if (text.AsSpan().ContainsAny("= \t\r\n"))
                return null;
            var head = Read(header);
            var claims = Read(payload);
            if (head.ValueKind != JsonValueKind.Object || claims.ValueKind != JsonValueKind.Object
                || head.TryGetProperty("crit", out _) || head.TryGetProperty("b64", out _))
            {
                return null;
            }

            return new CompactJws(
                head, claims, Encoding.ASCII.GetBytes(text, 0, header.Length + 1 + payload.Length), Base64Url.DecodeFromChars(signature));
        }
        catch (Exception e) when (e is FormatException or JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>Invariant 5: the algorithm is the key's; a header that names another is refused.</summary>
    public bool IsSignedBy(PublicKey key, SigningAlgorithm algorithm) =>
        string.Equals(Algorithm, algorithm.Name, StringComparison.Ordinal)
        && key.Verify(algorithm, algorithm.HashData(_signingInput), _signature);

    public string? Text(string claim) => Text(Claims, claim);

    /// <summary>A NumericDate; null where it is missing, no number, or beyond all time.</summary>
    public DateTimeOffset? Time(string claim) =>
        Claims.TryGetProperty(claim, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var seconds)
        && seconds is >= 0 and <= 253_402_300_799
            ? DateTimeOffset.FromUnixTimeSeconds((long)seconds)
            : null;

    private static JsonElement Read(string part)
    {
        using var json = JsonDocument.Parse(Base64Url.DecodeFromChars(part), Strict);
        return json.RootElement.Clone();
    }

    private static string? Text(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
