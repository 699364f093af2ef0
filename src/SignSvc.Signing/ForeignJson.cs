using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace SignSvc.Signing;

/// <summary>JSON from outside, before its texts are read.</summary>
public static class ForeignJson
{
    /// <summary>Deep enough for everything that tokens, key sets and foreign clients send.</summary>
    private const int MaxDepth = 16;

    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = MaxDepth };

    /// <summary>Bytes from outside that can mean only one thing, and all of whose texts can be read.</summary>
    /// <exception cref="JsonException">They are no JSON, have a member twice, are nested more than 16 deep, or hold what is no text.</exception>
    public static JsonElement Parse(ReadOnlySpan<byte> json)
    {
        try
        {
            var read = JsonElement.Parse(json, Strict);
            return IsUnicode(read) ? read : throw new JsonException("It holds what is no text.");
        }
        catch (InvalidOperationException e)
        {
            throw new JsonException("A name that is half of a surrogate pair cannot be compared with the others.", e);
        }
    }

    /// <summary>
    /// A JSON element is kept as it was sent, and JSON may hold halves of surrogate pairs and bytes that are no UTF-8, in
    /// values and in names: no text in .NET or in a token can hold those (RFC 7493 section 2.1), and reading one throws.
    /// Whatever comes in as an element is asked once, where it comes in; from there on its texts are safe to read.
    /// </summary>
    public static bool IsUnicode(JsonElement element)
    {
        if (element.ValueKind == JsonValueKind.Undefined)
            return true;
        var raw = JsonMarshal.GetRawUtf8Value(element);
        if (Ascii.IsValid(raw) && !raw.Contains((byte)'\\'))
            return true;
        var reader = new Utf8JsonReader(raw, new JsonReaderOptions { MaxDepth = int.MaxValue });
        var text = ArrayPool<char>.Shared.Rent(1);
        try
        {
            while (reader.Read())
            {
                if (reader.TokenType is not (JsonTokenType.String or JsonTokenType.PropertyName))
                    continue;
                if (text.Length < reader.ValueSpan.Length)
                {
                    ArrayPool<char>.Shared.Return(text);
                    text = ArrayPool<char>.Shared.Rent(reader.ValueSpan.Length);
                }

                reader.CopyString(text);
            }

            return true;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
        finally
        {
            ArrayPool<char>.Shared.Return(text);
        }
    }
}
