using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tokens;

/// <summary>
/// A JWS in compact form (RFC 7515 section 3.1) that somebody else made, read strictly and trusted in nothing: three parts
/// of canonical base64url, a header that is a JSON object without members twice and without extensions that would have to
/// be understood (<c>crit</c>, <c>b64</c>, <c>zip</c>, <c>enc</c>). Of the header only <c>alg</c>, <c>kid</c>, <c>typ</c>
/// and, where it is asked for, <c>jwk</c> are read; <c>jku</c>, <c>x5u</c>, <c>x5c</c> and <c>x5t</c> are not even looked
/// at, and nothing in it causes I/O (RFC 8725).
/// </summary>
public sealed class CompactJws
{
    /// <summary>In characters. Headers of a request hold no more, and a form need not either.</summary>
    public const int MaxLength = 16 * 1024;

    private const int MaxKidLength = 256;
    private const int MaxNameLength = 64;

    private static readonly SearchValues<char> Base64UrlCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

    private static readonly string[] NotUnderstood = ["crit", "b64", "zip", "enc"];

    private static readonly string[] Times = ["exp", "nbf", "iat"];

    private CompactJws(string compact, int signedLength, JsonElement header, string algorithm, string? kid, string? type, byte[] payload, byte[] signature)
    {
        Compact = compact;
        SigningInput = Encoding.ASCII.GetBytes(compact, 0, signedLength);
        Header = header;
        Algorithm = algorithm;
        Kid = kid;
        Type = type;
        Payload = payload;
        Claims = TryReadObject(payload);
        Signature = signature;
    }

    /// <summary>As it came.</summary>
    public string Compact { get; }

    public JsonElement Header { get; }

    /// <summary>As the header claims it.</summary>
    public string Algorithm { get; }

    public string? Kid { get; }

    /// <summary>In lower case, without <c>application/</c> (RFC 7515 section 4.1.9).</summary>
    public string? Type { get; }

    public ReadOnlyMemory<byte> Payload { get; }

    /// <summary>
    /// The payload as a JSON object that can mean only one thing; undefined where it is none. Not to be believed before the
    /// signature is verified.
    /// </summary>
    public JsonElement Claims { get; }

    /// <summary>Header and payload with the dot between them: what the signature is over.</summary>
    public ReadOnlyMemory<byte> SigningInput { get; }

    public ReadOnlyMemory<byte> Signature { get; }

    /// <summary>Whether a text may be one at all; the rest is for <see cref="TryParse"/>.</summary>
    public static bool LooksLikeOne(ReadOnlySpan<char> text) => text.StartsWith("ey", StringComparison.Ordinal) && text.Count('.') == 2;

    /// <returns>Null where it is no signed JWT: a JWS whose payload is an object of claims, its times numbers.</returns>
    public static CompactJws? TryParseJwt(string? text) =>
        TryParse(text) is { Claims.ValueKind: JsonValueKind.Object, HasNumericDates: true } jwt ? jwt : null;

    /// <returns>Null where it is no JWS, or none that is taken here. The payload may be anything.</returns>
    public static CompactJws? TryParse(string? text)
    {
        if (text is null or { Length: > MaxLength } || text.AsSpan().Count('.') != 2)
            return null;
        var (first, second) = (text.IndexOf('.', StringComparison.Ordinal), text.LastIndexOf('.'));
        if (Decode(text.AsSpan(0, first)) is not { } encodedHeader
            || Decode(text.AsSpan(first + 1, second - first - 1)) is not { } payload
            || Decode(text.AsSpan(second + 1)) is not { Length: > 0 } signature)
        {
            return null;
        }

        var header = TryReadObject(encodedHeader);
        if (header.ValueKind != JsonValueKind.Object || NotUnderstood.Any(name => header.TryGetProperty(name, out _)))
            return null;
        return TryText(header, "alg", MaxNameLength, out var algorithm) && algorithm is not null
            && TryText(header, "kid", MaxKidLength, out var kid)
            && TryText(header, "typ", MaxNameLength, out var type)
                ? new CompactJws(text, second, header, algorithm, kid, Normal(type), payload, signature)
                : null;
    }

    /// <summary>Invariant 5: the algorithm is the key's; a header that names another is refused.</summary>
    public bool IsSignedBy(PublicKey key, SigningAlgorithm algorithm) =>
        string.Equals(Algorithm, algorithm.Name, StringComparison.Ordinal)
        && key.Verify(algorithm, algorithm.HashData(SigningInput.Span), Signature.Span);

    /// <returns>Null where it is missing or no text.</returns>
    public string? Text(string claim) => Claims.TryGetProperty(claim, out var value) ? TextOf(value) : null;

    /// <summary>
    /// RFC 7519 section 2: a NumericDate is a JSON number. Libraries that take a text for one disagree with those that see no
    /// claim there, so that a token with one is refused and not read in either way.
    /// </summary>
    public bool HasNumericDates => Times.All(claim => !Claims.TryGetProperty(claim, out _) || Time(claim) is not null);

    /// <summary>A NumericDate; null where it is missing, no number, or beyond all time.</summary>
    public DateTimeOffset? Time(string claim) =>
        Claims.TryGetProperty(claim, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var seconds)
        && seconds is >= 0 and <= 253_402_300_799
            ? DateTimeOffset.FromUnixTimeSeconds((long)seconds)
            : null;

    /// <summary>Undefined where it is no JSON object that can mean only one thing.</summary>
    private static JsonElement TryReadObject(ReadOnlySpan<byte> json)
    {
        try
        {
            var read = ForeignJson.Parse(json);
            return read.ValueKind == JsonValueKind.Object ? read : default;
        }
        catch (JsonException)
        {
            return default;
        }
    }

    /// <summary>False where the member is there and not a text of sensible length.</summary>
    private static bool TryText(JsonElement header, string name, int maxLength, out string? text)
    {
        text = null;
        if (!header.TryGetProperty(name, out var member))
            return true;
        text = TextOf(member);
        return text is { Length: > 0 } && text.Length <= maxLength;
    }

    private static string? TextOf(JsonElement value) => value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static string? Normal(string? type)
    {
        const string prefix = "application/";
        var lower = type?.ToLowerInvariant();
        return lower?.StartsWith(prefix, StringComparison.Ordinal) == true ? lower[prefix.Length..] : lower;
    }

    /// <summary>Null where a character, padding or an unused bit is there that the encoder does not write.</summary>
    private static byte[]? Decode(ReadOnlySpan<char> part)
    {
        if (part.ContainsAnyExcept(Base64UrlCharacters) || part.Length % 4 == 1)
            return null;
        var bytes = new byte[Base64Url.GetMaxDecodedLength(part.Length)];
        // The other overloads throw where an unused bit is set.
        if (Base64Url.DecodeFromChars(part, bytes, out _, out var written) != OperationStatus.Done)
            return null;
        Array.Resize(ref bytes, written);
        return part.SequenceEqual(Base64Url.EncodeToString(bytes)) ? bytes : null;
    }
}
