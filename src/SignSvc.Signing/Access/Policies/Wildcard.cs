namespace SignSvc.Signing.Access.Policies;

/// <summary>
/// Patterns with <c>*</c> (any run of characters, also none) and <c>?</c> (one character). There is no way to escape
/// them. Time is at worst the product of both lengths, which are bounded where they come in.
/// </summary>
public static class Wildcard
{
    public static bool Matches(ReadOnlySpan<char> pattern, ReadOnlySpan<char> text, bool ignoreCase = false)
    {
        int p = 0, t = 0, star = -1, resume = 0;
        while (t < text.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                (star, resume) = (p++, t);
            }
            else if (p < pattern.Length && (pattern[p] == '?' || IsSame(pattern[p], text[t], ignoreCase)))
            {
                p++;
                t++;
            }
            else if (star >= 0)
            {
                // The last star takes one character more.
                (p, t) = (star + 1, ++resume);
            }
            else
            {
                return false;
            }
        }

        return pattern[p..].TrimStart('*').IsEmpty;
    }

    /// <summary>Whether whatever matches <paramref name="other"/> matches <paramref name="pattern"/>; false where that is not plain to see.</summary>
    public static bool Covers(ReadOnlySpan<char> pattern, ReadOnlySpan<char> other)
    {
        int p = 0, o = 0, star = -1, resume = 0;
        while (o < other.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                (star, resume) = (p++, o);
            }
            else if (p < pattern.Length && other[o] != '*' && (pattern[p] == '?' || pattern[p] == other[o]))
            {
                p++;
                o++;
            }
            else if (star >= 0)
            {
                (p, o) = (star + 1, ++resume);
            }
            else
            {
                return false;
            }
        }

        return pattern[p..].TrimStart('*').IsEmpty;
    }

    /// <summary>Whether some text may match both; true where the contrary is not plain to see.</summary>
    public static bool MayOverlap(ReadOnlySpan<char> one, ReadOnlySpan<char> other)
    {
        for (var i = 0; i < one.Length && i < other.Length; i++)
        {
            if (one[i] == '*' || other[i] == '*')
                return true;
            if (one[i] != other[i] && one[i] != '?' && other[i] != '?')
                return false;
        }

        return one.Length == other.Length || (one.Length > other.Length ? one[other.Length..] : other[one.Length..]).TrimStart('*').IsEmpty;
    }

    private static bool IsSame(char one, char other, bool ignoreCase) =>
        one == other || (ignoreCase && char.ToUpperInvariant(one) == char.ToUpperInvariant(other));
}
