using System.Globalization;
using System.Text.Json;
using SignSvc.Signing;

namespace SignSvc.Compatibility;

/// <summary>
/// A JSON object of a foreign client. Members that we do not know are ignored, as the clients of AWS and Vault expect;
/// a member given twice or nesting beyond 16 levels is refused. What a member holds is read strictly.
/// </summary>
internal readonly struct ClientJson(JsonElement json)
{
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: no JSON object.</exception>
    public static ClientJson Parse(ReadOnlyMemory<byte> body)
    {
        try
        {
            var root = body.IsEmpty ? JsonElement.Parse("{}") : ForeignJson.Parse(body.Span);
            return root.ValueKind == JsonValueKind.Object ? new ClientJson(root) : throw Invalid("The body is not a JSON object.");
        }
        catch (JsonException e)
        {
            throw Invalid("The body is not well-formed JSON.", e);
        }
    }

    /// <summary>Reads the body whole; its size is bounded by the limit of the address.</summary>
    public static async Task<byte[]> ReadBodyAsync(HttpContext http)
    {
        using var buffer = new MemoryStream();
        await http.Request.Body.CopyToAsync(buffer, http.RequestAborted);
        return buffer.ToArray();
    }

    /// <returns>Null where it is missing or null.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: something else than text.</exception>
    public string? Text(string name)
    {
        if (Member(name) is not { } member)
            return null;
        return member.ValueKind == JsonValueKind.String ? member.GetString() : throw Invalid($"{name} is not a string.");
    }

    /// <summary>A number, or one written as text.</summary>
    public int? Number(string name)
    {
        if (!Has(name))
            return null;
        return TryNumber(name) ?? throw Invalid($"{name} is not a whole number.");
    }

    /// <returns>Null also where it is no number.</returns>
    public int? TryNumber(string name)
    {
        if (Member(name) is not { } member)
            return null;
        if (member.ValueKind == JsonValueKind.String)
            return int.TryParse(Text(name), NumberStyles.None, CultureInfo.InvariantCulture, out var written) ? written : null;
        return member.ValueKind == JsonValueKind.Number && member.TryGetInt32(out var number) ? number : null;
    }

    /// <summary>A boolean, or one written as text.</summary>
    public bool? Flag(string name)
    {
        if (Member(name) is not { } member)
            return null;
        return member.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            JsonValueKind.String when bool.TryParse(Text(name), out var flag) => flag,
            _ => throw Invalid($"{name} is not a boolean."),
        };
    }

    /// <summary>Standard base64.</summary>
    public byte[]? Bytes(string name)
    {
        if (Text(name) is not { } text)
            return null;
        var bytes = new byte[text.Length];
        return Convert.TryFromBase64String(text, bytes, out var written) ? bytes[..written] : throw Invalid($"{name} is not base64.");
    }

    /// <returns>Null where it is missing or null.</returns>
    public IReadOnlyList<ClientJson>? Objects(string name)
    {
        if (Member(name) is not { } member)
            return null;
        return member.ValueKind == JsonValueKind.Array && member.EnumerateArray().All(i => i.ValueKind == JsonValueKind.Object)
            ? member.EnumerateArray().Select(i => new ClientJson(i)).ToArray()
            : throw Invalid($"{name} is not a list of objects.");
    }

    public IReadOnlyList<string>? Texts(string name)
    {
        if (Member(name) is not { } member)
            return null;
        return member.ValueKind == JsonValueKind.Array && member.EnumerateArray().All(i => i.ValueKind == JsonValueKind.String)
            ? member.EnumerateArray().Select(i => i.GetString()!).ToArray()
            : throw Invalid($"{name} is not a list of strings.");
    }

    public bool Has(string name) => Member(name) is not null;

    public static SigningException Invalid(string message, Exception? inner = null) => new(SigningFault.InvalidRequest, message, inner);

    private JsonElement? Member(string name) =>
        json.TryGetProperty(name, out var member) && member.ValueKind != JsonValueKind.Null ? member : null;
}
