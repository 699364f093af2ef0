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

/// <summary>
/// Aliases: segments like names, joined by slashes (<c>prod/app</c>), 255 characters at the most. In a URL a slash inside
/// an alias is written <c>%2F</c>.
/// </summary>
public static class AliasName
{
    public const int MaxLength = 255;

    public static bool IsValid(string? alias) =>
        alias is { Length: > 0 and <= MaxLength } && alias.Split('/').All(KeyName.IsValid);

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public static string Parse(string? alias) =>
        IsValid(alias)
            ? alias!
            : throw new SigningException(
                SigningFault.InvalidRequest,
                $"An alias is one or more names joined by slashes, with at most {MaxLength} characters.");
}
