using SignSvc.Cli.Keys;

namespace SignSvc.Cli.Declared;

/// <param name="Canonical">The wish as text, always the same for the same wish.</param>
/// <param name="Shown">The wish for people.</param>
internal sealed record Wish(string Member, string Canonical, string Shown, Func<KeyAnswer, bool> IsMet, Func<KeyAnswer, string> Current);

/// <summary>What a manifest asks of a key that can be changed, and what cannot.</summary>
internal static class KeyComparison
{
    public static IEnumerable<Wish> Wishes(DeclaredKey key)
    {
        if (key.Description is { } description)
            yield return Text("description", description, live => live.Description);
        if (key.Owner is { } owner)
            yield return Text("owner", owner, live => live.Owner);
        if (key.Tags is { } tags)
            yield return Text("tags", Of(tags), live => Of(ManagedTags.WithoutOurs(live.Tags)));
        if (key.Aliases is { } aliases)
            yield return Text("aliases", Of(aliases), live => Of(live.Aliases ?? []));
        if (key.Enabled is { } enabled)
            yield return Text("enabled", enabled ? "true" : "false", live => live.Is("enabled") ? "true" : "false");
        if (key.Rotation is { } rotation)
        {
            var shown = rotation.ForNewKey().ToString();
            yield return new Wish("rotation", rotation.ToString(), shown, live => rotation.IsMetBy(live.Rotation), live => live.Rotation?.ToString() ?? "on demand");
        }

        if (key.DeletionProtection is { } protection)
            yield return Text("deletionProtection", protection ? "true" : "false", live => live.DeletionProtection ? "true" : "false");
    }

    /// <summary>What a key is for good; a manifest that asks for something else asks for another key.</summary>
    public static IEnumerable<Difference> Replacements(DeclaredKey key, KeyAnswer live)
    {
        (string Member, string? Wanted, string Current)[] fixedMembers =
        [
            ("purpose", key.Purpose, live.Purpose),
            ("spec", key.Spec, live.Spec),
            ("tier", key.Tier, live.Tier),
            ("backend", key.Backend, live.Backend),
            ("algorithms", key.Algorithms is null ? null : string.Join(", ", key.Algorithms), string.Join(", ", live.Algorithms)),
            ("multiRegion", key.MultiRegion is true ? "true" : null, live.MultiRegion is true ? "true" : "false"),
        ];
        return fixedMembers
            .Where(m => m.Wanted is not null && !string.Equals(m.Wanted, m.Current, StringComparison.Ordinal))
            .Select(m => new Difference(m.Member, m.Current, m.Wanted!, IsDrift: false));
    }

    private static Wish Text(string member, string wanted, Func<KeyAnswer, string?> current) => new(
        member, wanted, wanted, live => string.Equals(current(live) ?? "", wanted, StringComparison.Ordinal), live => current(live) ?? "");

    private static string Of(IReadOnlyDictionary<string, string> tags) =>
        string.Join(", ", tags.OrderBy(t => t.Key, StringComparer.Ordinal).Select(t => $"{Escaped(t.Key).Replace("=", @"\=", StringComparison.Ordinal)}={Escaped(t.Value)}"));

    /// <summary>What holds no separator reads as it is, also in records of former applies.</summary>
    private static string Escaped(string text) =>
        text.Replace(@"\", @"\\", StringComparison.Ordinal).Replace(",", @"\,", StringComparison.Ordinal);

    private static string Of(IEnumerable<string> aliases) => string.Join(", ", aliases.Order(StringComparer.Ordinal));
}
