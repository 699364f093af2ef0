using System.Buffers;

namespace SignSvc.Signing.Keys;

/// <summary>
/// Names of keys, profiles and credentials: <c>[a-z0-9][a-z0-9._-]{0,62}</c>. A name is a path segment and part of a
/// file name without escaping. One that reads as a UUID is refused, because ids and names share one place in a URL.
/// </summary>
public static class KeyName
{
    public const int MaxLength = 63;

    private static readonly SearchValues<char> Allowed = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789._-");

    public static bool IsValid(string? name) =>
        name is { Length: > 0 and <= MaxLength }
        && char.IsAsciiLetterOrDigit(name[0])
        && !name.AsSpan().ContainsAnyExcept(Allowed)
        && !Guid.TryParse(name, out _);

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public static string Parse(string? name, string what = "name") =>
        IsValid(name)
            ? name!
            : throw new SigningException(
                SigningFault.InvalidRequest,
                $"The {what} must match [a-z0-9][a-z0-9._-]{{0,62}} and must not be a UUID.");
}
