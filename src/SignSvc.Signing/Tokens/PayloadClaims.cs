using System.Text;
using System.Text.Json;

namespace SignSvc.Signing.Tokens;

/// <summary>
/// Whether a payload could be read as the claims of a token. A verifier that still has a payload key in its copy of an
/// issuer's key set, and looks at no <c>typ</c>, has nothing but <c>iss</c> to tell a payload from a token by. Verifiers
/// read more leniently than RFC 7519 asks: UTF-16 and UTF-32, a byte order mark, names in any case, members twice.
/// </summary>
internal static class PayloadClaims
{
    private static readonly JsonReaderOptions Lenient = new() { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip };

    /// <returns>Also true of what begins as a JSON object, cannot be read to its end, and may speak of an issuer.</returns>
    public static bool NameIssuer(ReadOnlySpan<byte> payload, IEnumerable<string> issuers)
    {
        var text = Narrow(payload);
        if (text is not [(byte)'{', ..])
            return false;
        var ours = issuers.Select(Normal).ToHashSet(StringComparer.OrdinalIgnoreCase);
        try
        {
            var reader = new Utf8JsonReader(text, Lenient);
            while (reader.Read())
            {
                if (reader.TokenType == JsonTokenType.PropertyName && reader.CurrentDepth == 1
                    && string.Equals(reader.GetString(), "iss", StringComparison.OrdinalIgnoreCase)
                    && reader.Read() && reader.TokenType == JsonTokenType.String && ours.Contains(Normal(reader.GetString()!)))
                {
                    return true;
                }
            }

            return false;
        }
        // Half of a surrogate pair is no text.
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            var raw = Encoding.Latin1.GetString(text);
            return raw.Contains("iss", StringComparison.OrdinalIgnoreCase) || raw.Contains("\\u", StringComparison.Ordinal);
        }
    }

    /// <summary>UTF-16 and UTF-32 of ASCII are ASCII with zeros between, and a mark in front.</summary>
    private static byte[] Narrow(ReadOnlySpan<byte> payload)
    {
        ReadOnlySpan<byte> marks = [0xEF, 0xBB, 0xBF, 0xFE, 0xFF, 0x00, (byte)' ', (byte)'\t', (byte)'\r', (byte)'\n'];
        var text = payload.TrimStart(marks);
        return text.Contains((byte)0) ? [.. text.ToArray().Where(b => b != 0)] : text.ToArray();
    }

    private static string Normal(string issuer) => issuer.Trim().TrimEnd('/');
}
