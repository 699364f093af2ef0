using System.Globalization;

namespace SignSvc.Signing.Access;

/// <summary>
/// One writing for all those in which issuers and settings write a person's address, so that nobody counts twice by a blank
/// or a capital. It errs towards one person: that costs an approval, the other way gives one away.
/// </summary>
internal static class PersonName
{
    /// <returns>
    /// Without blanks, control and invisible characters, in lower case, the domain in its ASCII form (RFC 5890) and without the
    /// dot of the root; null where nothing is left.
    /// </returns>
    public static string? Of(string? written)
    {
        if (written is null)
            return null;
        var visible = string.Concat(written.Where(IsVisible)).ToLowerInvariant();
        var at = visible.LastIndexOf('@');
        var name = at < 0 ? visible : $"{visible.AsSpan(0, at + 1)}{AsciiOf(visible[(at + 1)..].TrimEnd('.'))}";
        return name.Length == 0 ? null : name;
    }

    private static bool IsVisible(char c) =>
        !char.IsWhiteSpace(c) && !char.IsControl(c) && char.GetUnicodeCategory(c) != UnicodeCategory.Format;

    private static string AsciiOf(string domain)
    {
        if (System.Text.Ascii.IsValid(domain))
            return domain;
        try
        {
            return new IdnMapping().GetAscii(domain);
        }
        // No domain at all; it still tells one person from another.
        catch (ArgumentException)
        {
            return domain;
        }
    }
}
