using System.Globalization;

namespace SignSvc.Cli.Declared;

/// <summary>
/// Reads the members of one mapping strictly: each is asked for by its name and type, and <see cref="End"/> refuses
/// what nobody asked for. A member that is null counts as left out.
/// </summary>
internal sealed class Members(YamlMap map)
{
    private readonly List<string> _known = [];

    public Place Place => map.Place;

    public YamlNode? Find(string name)
    {
        _known.Add(name);
        var value = map.Members.FirstOrDefault(m => string.Equals(m.Key.Text, name, StringComparison.Ordinal)).Value;
        return value is YamlScalar { IsNull: true } ? null : value;
    }

    public Members? Map(string name) => Find(name) is { } node
        ? new Members(node as YamlMap ?? throw node.Place.Refuse($"{name} is a mapping."))
        : null;

    public Members RequiredMap(string name) => Map(name) ?? throw Missing(name);

    public string? Text(string name) => Find(name) is { } node ? TextOf(name, node) : null;

    public string RequiredText(string name) => Text(name) ?? throw Missing(name);

    public string? OneOf(string name, params ReadOnlySpan<string> values)
    {
        if (Find(name) is not { } node)
            return null;
        var text = TextOf(name, node);
        return values.Contains(text) ? text : throw node.Place.Refuse($"{name} is one of: {string.Join(", ", values)}.");
    }

    public bool? Flag(string name) => Find(name) switch
    {
        null => null,
        YamlScalar { IsPlain: true, Text: "true" } => true,
        YamlScalar { IsPlain: true, Text: "false" } => false,
        { Place: var place } => throw place.Refuse($"{name} is true or false."),
    };

    public int? Number(string name, int from, int to) => Find(name) switch
    {
        null => null,
        YamlScalar { IsPlain: true } scalar when IsNumber(scalar.Text, out var number) && number >= from && number <= to => number,
        { Place: var place } => throw place.Refuse($"{name} is a number from {from} to {to}."),
    };

    /// <summary>Seconds, from <c>30d</c>, <c>24h</c>, <c>0s</c>.</summary>
    public long? Duration(string name) => Find(name) switch
    {
        null => null,
        YamlScalar { Text: "0" or "0s" } => 0,
        YamlScalar scalar when Durations.TryParse(scalar.Text, out var span) => (long)span.TotalSeconds,
        { Place: var place } => throw place.Refuse($"{name} is a length of time: 30d, 24h, 15m, 300s."),
    };

    public string[]? Texts(string name, int most)
    {
        if (Find(name) is not { } node)
            return null;
        var items = (node as YamlList ?? throw node.Place.Refuse($"{name} is a list.")).Items;
        if (items.Count > most)
            throw node.Place.Refuse($"{name} has at most {most} items.");
        var texts = items.Select(i => TextOf($"an item of {name}", i)).ToArray();
        return texts.Distinct(StringComparer.Ordinal).Count() == texts.Length
            ? texts
            : throw node.Place.Refuse($"{name} names one thing twice.");
    }

    public Dictionary<string, string>? TextMap(string name, int most)
    {
        if (Find(name) is not { } node)
            return null;
        var members = (node as YamlMap ?? throw node.Place.Refuse($"{name} is a mapping of text to text.")).Members;
        return members.Count <= most
            ? members.ToDictionary(m => m.Key.Text, m => TextOf(m.Key.Text, m.Value), StringComparer.Ordinal)
            : throw node.Place.Refuse($"{name} has at most {most} members.");
    }

    /// <summary>What a cluster writes and no manifest says: there in what <c>kubectl get -o yaml</c> prints, and of no meaning here.</summary>
    public void Ignore(params ReadOnlySpan<string> names) => _known.AddRange(names);

    /// <exception cref="CommandException">There is a member that nobody asked for.</exception>
    public void End()
    {
        foreach (var (key, _) in map.Members)
        {
            if (!_known.Contains(key.Text, StringComparer.Ordinal))
                throw key.Place.Refuse($"There is no member {key.Text} here; known are: {string.Join(", ", _known)}.");
        }
    }

    private CommandException Missing(string name) => Place.Refuse($"{name} is missing.");

    /// <summary>As Kubernetes has it: a plain number or flag is not text, so that <c>yes</c>, <c>1.10</c> and <c>0x1</c> surprise nobody.</summary>
    private static string TextOf(string name, YamlNode node) => node switch
    {
        YamlScalar { IsPlain: true, Text: "true" or "false" } => throw node.Place.Refuse($"{name} is text: put it in quotes."),
        YamlScalar { IsPlain: true } scalar when double.TryParse(scalar.Text, NumberStyles.Float, CultureInfo.InvariantCulture, out _) =>
            throw node.Place.Refuse($"{name} is text: put it in quotes."),
        YamlScalar { IsNull: false } scalar => scalar.Text,
        _ => throw node.Place.Refuse($"{name} is text."),
    };

    private static bool IsNumber(string text, out int number) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
