using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace SignSvc.Emulation.Wire;

/// <summary>The members of one request structure, read with the constraints of the API model (2014-11-01).</summary>
internal readonly struct Parameters(JsonElement body, string path = "")
{
    private static readonly TimeSpan PatternTimeout = TimeSpan.FromSeconds(1);

    public string? Text(string name, int max, int min = 1, string? pattern = null)
    {
        if (Member(name) is not { } member)
            return null;
        if (member.ValueKind != JsonValueKind.String)
            throw Mistyped(name);
        var value = member.GetString()!;
        CheckLength(name, value, value.Length, min, max);
        if (pattern is not null && !Regex.IsMatch(value, pattern, RegexOptions.CultureInvariant, PatternTimeout))
            throw KmsException.Constraint(
                Path(name),
                value,
                $"Member must satisfy regular expression pattern: {pattern}");
        return value;
    }

    public string RequiredText(string name, int max, int min = 1, string? pattern = null) =>
        Text(name, max, min, pattern) ?? throw Missing(name);

    public string RequiredKeyId(string name = "KeyId") => RequiredText(name, max: 2048);

    /// <param name="values">The set as the service lists it in its message, order included.</param>
    public string? OneOf(string name, IReadOnlyCollection<string> values)
    {
        var value = Text(name, max: 256, min: 0);
        if (value is not null && !values.Contains(value, StringComparer.Ordinal))
            throw KmsException.Constraint(
                Path(name),
                value,
                $"Member must satisfy enum value set: [{string.Join(", ", values)}]");
        return value;
    }

    public string RequiredOneOf(string name, IReadOnlyCollection<string> values) =>
        OneOf(name, values) ?? throw Missing(name);

    /// <summary>A blob. Its value is never repeated in an error.</summary>
    public byte[]? Blob(string name, int max)
    {
        if (Member(name) is not { } member)
            return null;
        if (member.ValueKind != JsonValueKind.String || !member.TryGetBytesFromBase64(out var value))
            throw Mistyped(name);
        CheckLength(name, value: null, value.Length, min: 1, max);
        return value;
    }

    public byte[] RequiredBlob(string name, int max) => Blob(name, max) ?? throw Missing(name);

    public int? Integer(string name, int min, int max)
    {
        if (Member(name) is not { } member)
            return null;
        if (member.ValueKind != JsonValueKind.Number || !member.TryGetInt32(out var value))
            throw Mistyped(name);
        var text = value.ToString(CultureInfo.InvariantCulture);
        if (value < min)
            throw KmsException.Constraint(Path(name), text, $"Member must have value greater than or equal to {min}");
        if (value > max)
            throw KmsException.Constraint(Path(name), text, $"Member must have value less than or equal to {max}");
        return value;
    }

    public bool Flag(string name) => Member(name) is { ValueKind: JsonValueKind.True };

    /// <summary>A timestamp in awsJson1.1: seconds since 1970, with fractions.</summary>
    public DateTimeOffset? Timestamp(string name)
    {
        if (Member(name) is not { } member)
            return null;
        if (member.ValueKind != JsonValueKind.Number
            || !member.TryGetDouble(out var seconds)
            || Math.Abs(seconds) > 2e11)
            throw Mistyped(name);
        return DateTimeOffset.UnixEpoch.AddSeconds(seconds);
    }

    public IReadOnlyList<string> Texts(string name, int max)
    {
        var here = this;
        return
        [
            .. Elements(name)
                .Select(e =>
                    e.ValueKind == JsonValueKind.String && e.GetString()!.Length <= max
                        ? e.GetString()!
                        : throw here.Mistyped(name)),
        ];
    }

    /// <summary>The structures of a list, each with the path that the service's errors give it.</summary>
    public IReadOnlyList<Parameters> Structures(string name)
    {
        var prefix = $"{Path(name)}.";
        return [.. Elements(name).Select((e, i) => new Parameters(e, $"{prefix}{i + 1}.member."))];
    }

    public bool Has(string name) => Member(name) is not null;

    public Parameters? Structure(string name) =>
        Member(name) is { } member ? new Parameters(member, $"{Path(name)}.") : null;

    public SortedDictionary<string, string> TextMap(string name)
    {
        var map = new SortedDictionary<string, string>(StringComparer.Ordinal);
        if (Member(name) is not { } member)
            return map;
        if (member.ValueKind != JsonValueKind.Object)
            throw Mistyped(name);
        foreach (var entry in member.EnumerateObject())
            map[entry.Name] = entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString()! : throw Mistyped(name);
        return map;
    }

    public KmsException Missing(string name) =>
        KmsException.Validation(
            $"1 validation error detected: Value null at '{Path(name)}' failed to satisfy constraint: Member must not be null");

    private JsonElement[] Elements(string name) =>
        Member(name) switch
        {
            null => [],
            { ValueKind: JsonValueKind.Array } array => [.. array.EnumerateArray()],
            _ => throw Mistyped(name),
        };

    private JsonElement? Member(string name) =>
        body.ValueKind == JsonValueKind.Object
        && body.TryGetProperty(name, out var member)
        && member.ValueKind != JsonValueKind.Null
            ? member
            : null;

    private void CheckLength(string name, string? value, int length, int min, int max)
    {
        if (length < min)
            throw KmsException.Constraint(Path(name), value, $"Member must have length greater than or equal to {min}");
        if (length > max)
            throw KmsException.Constraint(Path(name), value, $"Member must have length less than or equal to {max}");
    }

    private string Path(string name) => $"{path}{char.ToLowerInvariant(name[0])}{name[1..]}";

    private KmsException Mistyped(string name) =>
        new(
            "SerializationException",
            $"The member {Path(name)} has a value of another type than the API model gives it.");
}
