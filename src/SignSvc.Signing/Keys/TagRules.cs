using System.Collections.Immutable;
using System.Text;

namespace SignSvc.Signing.Keys;

/// <summary>
/// Tags of keys, by AWS KMS's rules whatever the backend (AWS KMS API reference, "Tag" and "TagResource"), so that a tag is
/// at the backend what it is here.
/// </summary>
public static class TagRules
{
    public const int Most = 50;
    public const int MaxNameLength = 128;
    public const int MaxValueLength = 256;

    /// <summary>AWS's own.</summary>
    private const string ReservedByAws = "aws:";

    /// <summary>What this service tells KMS keys apart by.</summary>
    private const string ReservedHere = "signsvc:";

    /// <param name="tags">Null: none.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public static ImmutableSortedDictionary<string, string> Parse(IReadOnlyDictionary<string, string>? tags)
    {
        if (tags is null)
            return ImmutableSortedDictionary<string, string>.Empty;
        if (tags.Count > Most)
            throw Invalid($"A key has at most {Most} tags.");
        foreach (var (name, value) in tags)
        {
            if (name.Length is < 1 or > MaxNameLength || value is not { Length: <= MaxValueLength })
                throw Invalid($"Tags have names of 1 to {MaxNameLength} and values of 0 to {MaxValueLength} characters.");
            if (!name.EnumerateRunes().All(IsAllowed) || !value.EnumerateRunes().All(IsAllowed))
                throw Invalid("Tags consist of letters, digits, spaces and _ . : / = + - @, as in AWS.");
            if (IsReserved(name))
                throw Invalid($"Tags that begin with {ReservedByAws} or {ReservedHere} are reserved.");
        }

        return tags.ToImmutableSortedDictionary(StringComparer.Ordinal);
    }

    /// <summary>AWS does so in any case.</summary>
    private static bool IsReserved(string name) =>
        name.StartsWith(ReservedByAws, StringComparison.OrdinalIgnoreCase) || name.StartsWith(ReservedHere, StringComparison.OrdinalIgnoreCase);

    /// <summary><c>[\p{L}\p{Z}\p{N}_.:/=+\-@]</c>. Half of a surrogate pair reads as U+FFFD, which is none of it.</summary>
    private static bool IsAllowed(Rune rune) =>
        Rune.IsLetter(rune) || Rune.IsNumber(rune) || Rune.IsSeparator(rune)
        || (rune.IsAscii && "_.:/=+-@".Contains((char)rune.Value, StringComparison.Ordinal));

    private static SigningException Invalid(string message) => new(SigningFault.InvalidRequest, message);
}
