namespace SignSvc.Access.Issuers;

/// <summary>Addresses that keys may be fetched from: TLS, except on this machine itself.</summary>
internal static class TrustedUrl
{
    public static bool IsAllowed(string url) => Uri.TryCreate(url, UriKind.Absolute, out var parsed) && IsAllowed(parsed);

    public static bool IsAllowed(Uri url) =>
        url is { IsAbsoluteUri: true, UserInfo.Length: 0, Fragment.Length: 0 }
        && (string.Equals(url.Scheme, Uri.UriSchemeHttps, StringComparison.Ordinal)
            || (string.Equals(url.Scheme, Uri.UriSchemeHttp, StringComparison.Ordinal) && url.IsLoopback));
}
