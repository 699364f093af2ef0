using System.Buffers;
using System.Text;
using System.Text.Json;
using SignSvc.Signing.Access;

namespace SignSvc.Signing.Tokens;

/// <summary>
/// A profile's own claims. A value is any JSON; inside its strings <c>{name}</c> stands for a variable, and <c>{{</c>
/// and <c>}}</c> for the braces themselves. A string that is one variable and nothing else takes the variable's JSON
/// value; a longer one takes its text. A variable that has no value refuses the token; with a question mark
/// (<c>{request.claims.env?}</c>) it leaves the claim out instead.
/// </summary>
/// <remarks>
/// Variables: <c>caller</c> (its name), <c>caller.principal</c>, <c>caller.NAME</c> (what authentication vouches for),
/// <c>subject.NAME</c> (a claim of an exchanged token), <c>request.subject</c>, <c>request.audience</c>,
/// <c>request.scope</c>, <c>request.claims.NAME</c>.
/// </remarks>
public static class ClaimTemplate
{
    private const int MaxLength = 4096;
    private const int MaxDepth = 8;

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: braces that do not match, an unknown variable, too large.</exception>
    public static void Check(string claim, JsonElement template)
    {
        if (template.GetRawText().Length > MaxLength)
            throw Invalid($"The template of the claim {claim} has more than {MaxLength} characters.");
        CheckValue(claim, template, depth: 1);
    }

    /// <summary>Evaluates a template of one text: a profile's subject.</summary>
    /// <returns>Null where an optional variable has no value.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: a variable has no value.</exception>
    public static string? Text(string claim, string template, ClaimSources sources)
    {
        var text = new StringBuilder();
        foreach (var part in Parse(claim, template))
        {
            if (part.Variable is null)
                text.Append(part.Literal);
            else if (sources.Find(part.Variable) is { } value)
                text.Append(AsText(claim, value));
            else if (part.IsOptional)
                return null;
            else
                throw Invalid($"The profile's claim {claim} needs {part.Variable}, which has no value here.");
        }

        return text.ToString();
    }

    /// <summary>Writes the claim with its value, or nothing where an optional variable has none.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: a variable has no value.</exception>
    public static bool Write(Utf8JsonWriter writer, string claim, JsonElement template, ClaimSources sources)
    {
        // Into a buffer first: an optional variable deep inside leaves the whole claim out.
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var inner = new Utf8JsonWriter(buffer))
        {
            if (!WriteValue(inner, claim, template, sources))
                return false;
        }

        writer.WritePropertyName(claim);
        writer.WriteRawValue(buffer.WrittenSpan, skipInputValidation: true);
        return true;
    }

    private static bool WriteValue(Utf8JsonWriter writer, string claim, JsonElement template, ClaimSources sources)
    {
        switch (template.ValueKind)
        {
            case JsonValueKind.String:
                return WriteText(writer, claim, template.GetString()!, sources);
            case JsonValueKind.Array:
                writer.WriteStartArray();
                foreach (var item in template.EnumerateArray())
                {
                    if (!WriteValue(writer, claim, item, sources))
                        return false;
                }

                writer.WriteEndArray();
                return true;
            case JsonValueKind.Object:
                writer.WriteStartObject();
                foreach (var member in template.EnumerateObject())
                {
                    writer.WritePropertyName(member.Name);
                    if (!WriteValue(writer, claim, member.Value, sources))
                        return false;
                }

                writer.WriteEndObject();
                return true;
            default:
                template.WriteTo(writer);
                return true;
        }
    }

    private static bool WriteText(Utf8JsonWriter writer, string claim, string template, ClaimSources sources)
    {
        if (Parse(claim, template) is [{ Variable: { } variable } part])
        {
            if (sources.Find(variable) is { } value)
            {
                value.WriteTo(writer);
                return true;
            }

            return part.IsOptional ? false : throw Invalid($"The profile's claim {claim} needs {variable}, which has no value here.");
        }

        if (Text(claim, template, sources) is not { } text)
            return false;
        writer.WriteStringValue(text);
        return true;
    }

    private static string AsText(string claim, JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
        _ => throw Invalid($"The profile's claim {claim} takes a text, a number or a boolean into a longer text."),
    };

    private static void CheckValue(string claim, JsonElement template, int depth)
    {
        if (depth > MaxDepth)
            throw Invalid($"The template of the claim {claim} is nested too deeply.");
        switch (template.ValueKind)
        {
            case JsonValueKind.String:
                foreach (var part in Parse(claim, template.GetString()!))
                {
                    if (part.Variable is { } variable && !ClaimSources.IsKnown(variable))
                        throw Invalid($"The template of the claim {claim} has an unknown variable.");
                }

                break;
            case JsonValueKind.Array:
                foreach (var item in template.EnumerateArray())
                    CheckValue(claim, item, depth + 1);
                break;
            case JsonValueKind.Object:
                foreach (var member in template.EnumerateObject())
                    CheckValue(claim, member.Value, depth + 1);
                break;
        }
    }

    private static List<Part> Parse(string claim, string template)
    {
        var parts = new List<Part>();
        var literal = new StringBuilder();
        for (var i = 0; i < template.Length; i++)
        {
            var c = template[i];
            if (c is not ('{' or '}'))
            {
                literal.Append(c);
            }
            else if (i + 1 < template.Length && template[i + 1] == c)
            {
                literal.Append(c);
                i++;
            }
            else
            {
                var end = c == '{' ? template.IndexOf('}', i) : -1;
                if (end < 0)
                    throw Invalid($"The template of the claim {claim} has a brace without its other; write {{{{ or }}}} for the brace itself.");
                if (literal.Length > 0)
                    parts.Add(new Part(literal.ToString()));
                literal.Clear();
                var name = template[(i + 1)..end];
                var isOptional = name.EndsWith('?');
                parts.Add(new Part(Variable: isOptional ? name[..^1] : name, IsOptional: isOptional));
                i = end;
            }
        }

        if (literal.Length > 0 || parts.Count == 0)
            parts.Add(new Part(literal.ToString()));
        return parts;
    }

    private static SigningException Invalid(string message) => new(SigningFault.InvalidRequest, message);

    private readonly record struct Part(string? Literal = null, string? Variable = null, bool IsOptional = false);
}

/// <summary>What a template's variables stand for in one request.</summary>
public sealed class ClaimSources(Caller caller, TokenRequest request)
{
    public static bool IsKnown(string variable) => variable switch
    {
        "caller" or "request.subject" or "request.audience" or "request.scope" => true,
        _ => variable.StartsWith("caller.", StringComparison.Ordinal) && variable.Length > "caller.".Length
            || variable.StartsWith("subject.", StringComparison.Ordinal) && variable.Length > "subject.".Length
            || variable.StartsWith("request.claims.", StringComparison.Ordinal) && variable.Length > "request.claims.".Length,
    };

    /// <summary>Null: it has no value here.</summary>
    public JsonElement? Find(string variable) => variable switch
    {
        "caller" => Json(caller.Name),
        "caller.principal" => Json(caller.Principal),
        "request.subject" => request.Subject is { } subject ? Json(subject) : null,
        "request.scope" => request.Grant?.Scope is { } scope ? Json(scope) : null,
        "request.audience" => request.Audiences.Count switch
        {
            0 => null,
            1 => Json(request.Audiences[0]),
            _ => Json([.. request.Audiences]),
        },
        _ when variable.StartsWith("request.claims.", StringComparison.Ordinal) => Member(request.Claims, variable["request.claims.".Length..]),
        _ when variable.StartsWith("subject.", StringComparison.Ordinal) => Member(request.Grant?.SubjectClaims, variable["subject.".Length..]),
        _ when variable.StartsWith("caller.", StringComparison.Ordinal) => CallerClaim(variable["caller.".Length..]),
        _ => null,
    };

    private JsonElement? CallerClaim(string name) =>
        !caller.Claims.TryGetValue(name, out var values) || values.IsEmpty ? null
        : values is [var one] ? Json(one)
        : Json([.. values]);

    /// <summary>A member by its whole name, or nested ones joined by dots.</summary>
    private static JsonElement? Member(JsonElement? from, string name)
    {
        if (from is not { ValueKind: JsonValueKind.Object } json)
            return null;
        if (json.TryGetProperty(name, out var whole))
            return whole.ValueKind == JsonValueKind.Null ? null : whole;
        var dot = name.IndexOf('.', StringComparison.Ordinal);
        return dot > 0 && json.TryGetProperty(name[..dot], out var outer) ? Member(outer, name[(dot + 1)..]) : null;
    }

    private static JsonElement Json(string text) => JsonSerializer.SerializeToElement(text, SigningJson.Default.String);

    private static JsonElement Json(string[] texts) => JsonSerializer.SerializeToElement(texts, SigningJson.Default.StringArray);
}
