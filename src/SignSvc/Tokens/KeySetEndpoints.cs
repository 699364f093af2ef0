using System.Globalization;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;
using SignSvc.Http;
using SignSvc.Signing;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tokens;

namespace SignSvc.Tokens;

/// <summary>What verifiers read: open to everybody, cacheable, and served from memory whatever else is down.</summary>
public static class KeySetEndpoints
{
    private const string MediaType = "application/jwk-set+json";

    public static void MapKeySets(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("").WithTags("Verifiers").AllowAnonymous();
        group.MapGet("/.well-known/jwks.json", ReadOfServiceAsync).WithName("ReadKeySet")
            .Produces(200, contentType: MediaType).Produces(304);
        group.MapGet("/issuers/{issuer}/jwks.json", ReadOfIssuerAsync).WithName("ReadIssuerKeySet")
            .Produces(200, contentType: MediaType).Produces(304);
        group.MapGet("/v1/keys/{key}/jwks.json", ReadOfKeyAsync).WithName("ReadKeySetOfKey")
            .Produces(200, contentType: MediaType).Produces(304);
        // Not described: they would be second operations with the same ids.
        group.MapMethods("/.well-known/jwks.json", [HttpMethods.Head], ReadOfServiceAsync).ExcludeFromDescription();
        group.MapMethods("/issuers/{issuer}/jwks.json", [HttpMethods.Head], ReadOfIssuerAsync).ExcludeFromDescription();
        group.MapMethods("/v1/keys/{key}/jwks.json", [HttpMethods.Head], ReadOfKeyAsync).ExcludeFromDescription();
        foreach (var path in (string[])["/.well-known/jwks.json", "/issuers/{issuer}/jwks.json", "/v1/keys/{key}/jwks.json"])
            group.MapPreflight(path);
    }

    private static Task ReadOfServiceAsync(HttpContext http, LiveSnapshot live) => WriteAsync(http, live.Current.KeySets.OfService);

    private static Task ReadOfIssuerAsync(HttpContext http, LiveSnapshot live, string issuer) =>
        live.Current.KeySets.TryGetIssuer(issuer, out var keys)
            ? WriteAsync(http, keys)
            : throw new SigningException(SigningFault.NotFound, "There is no such issuer.");

    /// <summary>Of a key of any purpose and tier: whoever knows its name may check its signatures.</summary>
    private static Task ReadOfKeyAsync(HttpContext http, LiveSnapshot live, string key) =>
        live.Current.KeySets.TryGetKey(key, out var keys)
            ? WriteAsync(http, keys)
            : throw new SigningException(SigningFault.NotFound, "There is no such key.");

    private static Task WriteAsync(HttpContext http, KeySet keys)
    {
        var isCompressed = TakesGzip(http.Request.Headers.AcceptEncoding);
        var (bytes, tag) = isCompressed ? (keys.Gzip, keys.GzipETag) : (keys.Json, keys.ETag);
        var headers = http.Response.Headers;
        headers.CacheControl = string.Create(CultureInfo.InvariantCulture, $"public, max-age={keys.MaxAge}");
        headers.ETag = tag;
        headers.Vary = HeaderNames.AcceptEncoding;
        http.Response.AllowReadingAnywhere();
        var ifNoneMatch = http.Request.Headers.IfNoneMatch;
        if (Names(ifNoneMatch, keys.ETag) || Names(ifNoneMatch, keys.GzipETag))
        {
            http.Response.StatusCode = StatusCodes.Status304NotModified;
            return Task.CompletedTask;
        }

        http.Response.ContentType = MediaType;
        http.Response.ContentLength = bytes.Length;
        if (isCompressed)
            headers.ContentEncoding = "gzip";
        return HttpMethods.IsHead(http.Request.Method) ? Task.CompletedTask : http.Response.Body.WriteAsync(bytes, http.RequestAborted).AsTask();
    }

    /// <summary>RFC 9110 section 12.5.3: it is named with a weight above 0. A bare <c>*</c> is no wish for it.</summary>
    private static bool TakesGzip(StringValues header) =>
        header.Count > 0 && StringWithQualityHeaderValue.TryParseList(header, out var codings)
        && codings.Any(c => c.Value.Equals("gzip", StringComparison.OrdinalIgnoreCase) && c.Quality is null or > 0);

    /// <summary>RFC 9110 section 13.1.2: a list of ETags, weak comparison, or <c>*</c>.</summary>
    private static bool Names(StringValues header, string etag) =>
        header.Any(line => line is not null && line.Split(',', StringSplitOptions.TrimEntries).Any(
            tag => tag is "*" || string.Equals(tag.StartsWith("W/", StringComparison.Ordinal) ? tag[2..] : tag, etag, StringComparison.Ordinal)));
}
