using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tokens;

namespace SignSvc.Tokens;

/// <summary>RFC 8414 section 2 and OpenID Connect Discovery 1.0 section 3, as far as it is true of this service.</summary>
public sealed record IssuerMetadata(
    [property: JsonPropertyName("issuer")] string Issuer,
    [property: JsonPropertyName("jwks_uri")] string JwksUri,
    [property: JsonPropertyName("response_types_supported")] ImmutableArray<string> ResponseTypesSupported,
    [property: JsonPropertyName("subject_types_supported")] ImmutableArray<string> SubjectTypesSupported,
    [property: JsonPropertyName("id_token_signing_alg_values_supported")] ImmutableArray<string> SigningAlgorithms);

/// <summary>What verifiers read: open to everybody, cacheable, and served from memory whatever else is down.</summary>
public static class KeySetEndpoints
{
    /// <summary>How long a verifier may keep a key set: part of the time that a new key waits before it signs.</summary>
    public const int MaxAgeSeconds = 300;

    public static void MapKeySets(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/.well-known").WithTags("Verifiers").AllowAnonymous();
        group.MapGet("/jwks.json", ReadKeySet).WithName("ReadKeySet")
            .Produces(200, contentType: "application/jwk-set+json").Produces(304);
        // Not described: it would be a second operation with the same id.
        group.MapMethods("/jwks.json", [HttpMethods.Head], ReadKeySet).ExcludeFromDescription();
        group.MapGet("/openid-configuration", ReadMetadata).WithName("ReadOpenIdConfiguration");
        group.MapGet("/oauth-authorization-server", ReadMetadata).WithName("ReadAuthorizationServerMetadata");
    }

    private static Results<FileContentHttpResult, StatusCodeHttpResult> ReadKeySet(HttpContext http, LiveSnapshot live)
    {
        var keys = live.Current.TokenKeys;
        http.Response.Headers.CacheControl = $"public, max-age={MaxAgeSeconds}";
        http.Response.Headers.ETag = keys.ETag;
        http.Response.Headers.AccessControlAllowOrigin = "*";
        if (Names(http.Request.Headers.IfNoneMatch, keys.ETag))
            return TypedResults.StatusCode(StatusCodes.Status304NotModified);
        return TypedResults.File(keys.Json.ToArray(), "application/jwk-set+json");
    }

    /// <summary>RFC 9110 section 13.1.2: a list of ETags, weak comparison, or <c>*</c>.</summary>
    private static bool Names(Microsoft.Extensions.Primitives.StringValues header, string etag) =>
        header.Any(line => line is not null && line.Split(',', StringSplitOptions.TrimEntries).Any(
            tag => tag is "*" || string.Equals(tag.StartsWith("W/", StringComparison.Ordinal) ? tag[2..] : tag, etag, StringComparison.Ordinal)));

    private static Ok<IssuerMetadata> ReadMetadata(HttpContext http, LiveSnapshot live, TokenIssuing tokens)
    {
        http.Response.Headers.CacheControl = $"public, max-age={MaxAgeSeconds}";
        var algorithms = live.Current.Keys.All
            .Where(k => k.Purpose == KeyPurpose.Tokens)
            .SelectMany(k => k.Algorithms.Select(a => a.Name))
            .Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal);
        return TypedResults.Ok(new IssuerMetadata(
            tokens.DefaultIssuer, $"{tokens.DefaultIssuer}/.well-known/jwks.json", ["token"], ["public"], [.. algorithms]));
    }
}
