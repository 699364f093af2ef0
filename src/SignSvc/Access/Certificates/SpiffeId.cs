using System.Buffers;

namespace SignSvc.Access.Certificates;

/// <summary>A SPIFFE id (SPIFFE-ID section 2): <c>spiffe://</c>, a trust domain, a path of segments.</summary>
internal sealed record SpiffeId(string Text, string TrustDomain, string Path)
{
    public const string Scheme = "spiffe://";

    private const int MaxLength = 2048;
    private const int MaxTrustDomainLength = 255;

    private static readonly SearchValues<char> DomainCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789.-_");
    private static readonly SearchValues<char> PathCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_/");

    public static bool IsTrustDomain(string text) =>
        text.Length is > 0 and <= MaxTrustDomainLength && !text.AsSpan().ContainsAnyExcept(DomainCharacters);

    /// <summary>Null where it is written in any other way than the one that the specification allows: two spellings would be two names.</summary>
    public static SpiffeId? TryParse(string uri)
    {
        if (uri.Length > MaxLength || !uri.StartsWith(Scheme, StringComparison.Ordinal))
            return null;
        var slash = uri.IndexOf('/', Scheme.Length);
        var domain = slash < 0 ? uri[Scheme.Length..] : uri[Scheme.Length..slash];
        var path = slash < 0 ? "" : uri[slash..];
        var isPath = path.Length == 0
            || (!path.AsSpan().ContainsAnyExcept(PathCharacters) && path[1..].Split('/').All(s => s is not ("" or "." or "..")));
        return IsTrustDomain(domain) && isPath ? new SpiffeId(uri, domain, path) : null;
    }
}
