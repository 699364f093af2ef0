using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace SignSvc.Signing;

/// <summary>JSON from outside, before its texts are read.</summary>
public static class ForeignJson
{
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
