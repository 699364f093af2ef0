using SignSvc.Signing;

namespace SignSvc.Http;

/// <summary>Query parameters, read strictly: a value that cannot be meant is refused, not ignored.</summary>
internal static class Query
{
    public static T? Enum<T>(string name, string? value)
        where T : struct, Enum
    {
        if (value is null)
            return null;
        foreach (var candidate in System.Enum.GetValues<T>())
        {
            if (string.Equals(candidate.ToString(), value, StringComparison.OrdinalIgnoreCase))
                return candidate;
        }

        throw new SigningException(SigningFault.InvalidRequest, $"{name} is one of {WireEnums.ChoicesOf<T>()}.");
    }

    public static int Limit(int limit, int max) =>
        limit >= 1 && limit <= max
            ? limit
            : throw new SigningException(SigningFault.InvalidRequest, $"limit is from 1 to {max}.");
}
