using System.Buffers;
using System.Buffers.Text;
using System.Text.Json;

namespace SignSvc.Access.Issuers;

/// <summary>
/// A JWS in compact form (RFC 7515 section 3.1), read strictly and trusted in nothing: three parts of canonical base64url,
/// a header without members twice and without extensions that would have to be understood (<c>crit</c>, <c>b64</c>,
/// <c>zip</c>, <c>enc</c>). <c>jku</c>, <c>jwk</c>, <c>x5u</c>, <c>x5c</c> and <c>x5t</c> are not even looked at.
/// </summary>
internal sealed class CompactToken
{
    /// <summary>In characters. Headers of a request hold no more, and a form need not either.</summary>
    public const int MaxLength = 16 * 1024;

    private const int MaxKidLength = 256;
    private const int MaxTypeLength = 64;

    /// <summary>The policy engine and the audit meet no token nested deeper.</summary>
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 12 };

    private static readonly SearchValues<char> Base64UrlCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

    private static readonly string[] NotUnderstood = ["crit", "b64", "zip", "enc"];

    private CompactToken(string text, int signedLength, string algorithm, string? kid, string? type, byte[] payload, byte[] signature)
    {
        Text = text;
        SignedLength = signedLength;
        Algorithm = algorithm;
        Kid = kid;
        Type = type;
        Payload = payload;
        Signature = signature;
    }

    public string Text { get; }

    /// <summary>Characters of header and payload with the dot between them: what the signature is over.</summary>
    public int SignedLength { get; }

    /// <summary>As the header claims it.</summary>
    public string Algorithm { get; }

    public string? Kid { get; }

    /// <summary>In lower case, without <c>application/</c> (RFC 7515 section 4.1.9).</summary>
    public string? Type { get; }

    public ReadOnlyMemory<byte> Payload { get; }

    public ReadOnlyMemory<byte> Signature { get; }

    /// <summary>Whether a bearer token may be one at all; the rest is for <see cref="TryParse"/>.</summary>
    public static bool LooksLikeOne(ReadOnlySpan<char> token) => token.StartsWith("ey", StringComparison.Ordinal) && token.Count('.') == 2;

    public static CompactToken? TryParse(string text)
    {
        if (text.Length > MaxLength || text.AsSpan().Count('.') != 2)
            return null;
        var (first, second) = (text.IndexOf('.', StringComparison.Ordinal), text.LastIndexOf('.'));
        if (Decode(text.AsSpan(0, first)) is not { } header
            || Decode(text.AsSpan(first + 1, second - first - 1)) is not { } payload
            || Decode(text.AsSpan(second + 1)) is not { Length: > 0 } signature)
            return null;
        using var json = TryParseObject(header);
        if (json is null || NotUnderstood.Any(name => json.RootElement.TryGetProperty(name, out _)))
            return null;
        return TryText(json.RootElement, "alg", MaxTypeLength, out var algorithm) && algorithm is not null
            && TryText(json.RootElement, "kid", MaxKidLength, out var kid)
            && TryText(json.RootElement, "typ", MaxTypeLength, out var type)
                ? new CompactToken(text, second, algorithm, kid, Normal(type), payload, signature)
                : null;
    }

    /// <summary>The claims, or null where the payload is no JSON object that can mean only one thing.</summary>
    public JsonDocument? TryReadClaims() => TryParseObject(Payload);

    private static JsonDocument? TryParseObject(ReadOnlyMemory<byte> json)
    {
        try
        {
            var document = JsonDocument.Parse(json, Strict);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
                return document;
            document.Dispose();
            return null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>False where the member is there and not a text of sensible length.</summary>
    private static bool TryText(JsonElement header, string name, int maxLength, out string? text)
    {
        text = null;
        if (!header.TryGetProperty(name, out var member))
            return true;
        if (member.ValueKind != JsonValueKind.String)
            return false;
        text = member.GetString()!;
        return text.Length > 0 && text.Length <= maxLength;
    }

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
