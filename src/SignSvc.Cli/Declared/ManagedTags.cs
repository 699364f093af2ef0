using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using SignSvc.Cli.Keys;

namespace SignSvc.Cli.Declared;

/// <summary>
/// What <c>signsvc apply</c> keeps on a key, as tags: which set of manifests it belongs to, what becomes of it when its
/// manifest is gone, and a fingerprint of each member that was applied. By the last, a difference is told apart: where
/// the manifest still says what was applied, somebody changed the key by hand.
/// </summary>
internal static class ManagedTags
{
    public const string Prefix = "signsvc.dev/";
    public const string Set = Prefix + "set";
    public const string Deletion = Prefix + "deletion";
    public const string Applied = Prefix + "applied";

    public static bool IsOurs(string tag) => tag.StartsWith(Prefix, StringComparison.Ordinal);

    public static Dictionary<string, string> WithoutOurs(IReadOnlyDictionary<string, string>? tags) =>
        (tags ?? new Dictionary<string, string>(StringComparer.Ordinal)).Where(t => !IsOurs(t.Key)).ToDictionary(StringComparer.Ordinal);

    /// <summary>New tags of the user, and ours as they are.</summary>
    public static Dictionary<string, string> Carry(IReadOnlyDictionary<string, string>? live, IReadOnlyDictionary<string, string> tags)
    {
        var carried = new Dictionary<string, string>(tags, StringComparer.Ordinal);
        foreach (var (name, value) in (live ?? new Dictionary<string, string>(StringComparer.Ordinal)).Where(t => IsOurs(t.Key)))
            carried[name] = value;
        return carried;
    }

    /// <param name="applied">False where further steps have still to be taken: the record follows when they are.</param>
    public static Dictionary<string, string> For(DeclaredKey key, KeyAnswer? live, string set, bool applied)
    {
        var tags = new Dictionary<string, string>(key.Tags ?? WithoutOurs(live?.Tags), StringComparer.Ordinal)
        {
            [Set] = set,
            [Deletion] = DeletionOf(key),
        };
        if (applied)
            tags[Applied] = AppliedOf(key);
        return tags;
    }

    public static string DeletionOf(DeclaredKey key) => key.DeletionPolicy == DeletionPolicy.ScheduleKeyDeletion
        ? string.Create(CultureInfo.InvariantCulture, $"{key.DeletionPolicy} {key.PendingWindowInDays}")
        : key.DeletionPolicy.ToString();

    /// <summary>What is written in a way that is not ours counts as Retain: in doubt nothing is deleted.</summary>
    public static (DeletionPolicy Policy, int Days) DeletionOf(KeyAnswer live)
    {
        var parts = (live.Tags?.GetValueOrDefault(Deletion) ?? "").Split(' ');
        return parts switch
        {
            [nameof(DeletionPolicy.DisableKey)] => (DeletionPolicy.DisableKey, 0),
            [nameof(DeletionPolicy.ScheduleKeyDeletion), var text] when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var days) =>
                (DeletionPolicy.ScheduleKeyDeletion, days),
            _ => (DeletionPolicy.Retain, 0),
        };
    }

    public static string AppliedOf(DeclaredKey key) => string.Join(
        ' ', KeyComparison.Wishes(key).Select(wish => $"{wish.Member}:{Fingerprint(wish.Canonical)}"));

    /// <summary>The manifest says of this member what it said when it was applied.</summary>
    public static bool WasApplied(KeyAnswer live, string member, string canonical) =>
        (live.Tags?.GetValueOrDefault(Applied) ?? "").Split(' ').Contains($"{member}:{Fingerprint(canonical)}", StringComparer.Ordinal);

    /// <summary>32 bits: it tells an edit from none, and guards nothing.</summary>
    private static string Fingerprint(string canonical) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(canonical)).AsSpan(0, 4));
}
