using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Access.Certificates;
using SignSvc.Http;
using SignSvc.Signing;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tokens;

namespace SignSvc.OAuth;

/// <summary>RFC 8414 section 2 and OpenID Connect Discovery 1.0 section 3, as far as it is true of this service: what is not offered is left out.</summary>
public sealed record IssuerMetadata
{
    [JsonPropertyName("issuer")]
    public required string Issuer { get; init; }

    [JsonPropertyName("jwks_uri")]
    public required string JwksUri { get; init; }

    [JsonPropertyName("token_endpoint")]
    public required string TokenEndpoint { get; init; }

    [JsonPropertyName("token_endpoint_auth_methods_supported")]
    public required ImmutableArray<string> TokenEndpointAuthMethods { get; init; }

    [JsonPropertyName("token_endpoint_auth_signing_alg_values_supported")]
    public required ImmutableArray<string> AssertionAlgorithms { get; init; }

    [JsonPropertyName("grant_types_supported")]
    public required ImmutableArray<string> GrantTypes { get; init; }

    [JsonPropertyName("scopes_supported")]
    public ImmutableArray<string>? Scopes { get; init; }

    [JsonPropertyName("introspection_endpoint")]
    public string? IntrospectionEndpoint { get; init; }

    [JsonPropertyName("introspection_endpoint_auth_methods_supported")]
    public ImmutableArray<string>? IntrospectionAuthMethods { get; init; }

    [JsonPropertyName("revocation_endpoint")]
    public string? RevocationEndpoint { get; init; }

    [JsonPropertyName("revocation_endpoint_auth_methods_supported")]
    public ImmutableArray<string>? RevocationAuthMethods { get; init; }

    [JsonPropertyName("tls_client_certificate_bound_access_tokens")]
    public bool? HasCertificateBoundTokens { get; init; }

    [JsonPropertyName("dpop_signing_alg_values_supported")]
    public required ImmutableArray<string> DpopAlgorithms { get; init; }

    /// <summary>Demanded by both documents; there is no authorization endpoint, and nothing it could answer.</summary>
    [JsonPropertyName("response_types_supported")]
    public ImmutableArray<string> ResponseTypes { get; init; } = ["none"];

    [JsonPropertyName("subject_types_supported")]
    public ImmutableArray<string> SubjectTypes { get; init; } = ["public"];

    /// <summary>Of the issuer's tokens: verifiers look here for what they may accept.</summary>
    [JsonPropertyName("id_token_signing_alg_values_supported")]
    public required ImmutableArray<string> SigningAlgorithms { get; init; }
}

/// <summary>Discovery documents: RFC 8414 puts the well-known segment before the issuer's path, OpenID Connect behind it; both are served.</summary>
public static class IssuerMetadataEndpoints
{
    private static readonly string[] OfServicePaths = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];

    private static readonly string[] OfIssuerPaths =
    [
        "/issuers/{issuer}/.well-known/openid-configuration", "/issuers/{issuer}/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/issuers/{issuer}", "/.well-known/openid-configuration/issuers/{issuer}",
    ];

    public static void MapIssuerMetadata(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("").WithTags("Verifiers").AllowAnonymous();
        // Not described: they would be second operations with the same ids.
        foreach (var path in OfServicePaths)
            group.MapMethods(path, [HttpMethods.Head], ReadOfService).ExcludeFromDescription();
        foreach (var path in OfIssuerPaths)
            group.MapMethods(path, [HttpMethods.Head], ReadOfIssuer).ExcludeFromDescription();
        foreach (var path in (string[])[.. OfServicePaths, .. OfIssuerPaths])
            group.MapPreflight(path);
        group.MapGet("/.well-known/openid-configuration", ReadOfService).WithName("ReadOpenIdConfiguration");
        group.MapGet("/.well-known/oauth-authorization-server", ReadOfService).WithName("ReadAuthorizationServerMetadata");
        group.MapGet("/issuers/{issuer}/.well-known/openid-configuration", ReadOfIssuer).WithName("ReadIssuerOpenIdConfiguration");
        group.MapGet("/issuers/{issuer}/.well-known/oauth-authorization-server", ReadOfIssuer).ExcludeFromDescription();
        group.MapGet("/.well-known/oauth-authorization-server/issuers/{issuer}", ReadOfIssuer).WithName("ReadIssuerAuthorizationServerMetadata");
        group.MapGet("/.well-known/openid-configuration/issuers/{issuer}", ReadOfIssuer).ExcludeFromDescription();
    }

    private static Ok<IssuerMetadata> ReadOfService(HttpContext http, LiveSnapshot live, TokenIssuing tokens) =>
        Answer(http, live.Current, tokens.DefaultIssuer, issuer: null, live.Current.KeySets.OfService);

    private static Ok<IssuerMetadata> ReadOfIssuer(HttpContext http, LiveSnapshot live, TokenIssuing tokens, string issuer) =>
        live.Current.KeySets.TryGetIssuer(issuer, out var keys)
            ? Answer(http, live.Current, tokens.UrlOf(issuer), issuer, keys)
            : throw new SigningException(SigningFault.NotFound, "There is no such issuer.");

    private static Ok<IssuerMetadata> Answer(HttpContext http, Snapshot snapshot, string url, string? issuer, KeySet keys)
    {
        http.Response.Headers.CacheControl = $"public, max-age={keys.MaxAge}";
        http.Response.AllowReadingAnywhere();
        var services = http.RequestServices;
        var metadata = Of(snapshot, url, issuer, keys, services.GetRequiredService<ClientAuthentication>().Methods);
        return TypedResults.Ok(services.GetRequiredService<ClientCertificates>().IsOn ? metadata with { HasCertificateBoundTokens = true } : metadata);
    }

    private static IssuerMetadata Of(Snapshot snapshot, string url, string? issuer, KeySet keys, ImmutableArray<string> methods)
    {
        var profiles = snapshot.Profiles.Values.Where(p => !p.Payloads && string.Equals(p.Issuer, issuer, StringComparison.Ordinal)).ToArray();
        var hasStatus = profiles.Any(p => p.Introspection);
        var scopes = Sorted(profiles.SelectMany(p => p.Scopes));
        return new IssuerMetadata
        {
            Issuer = url,
            JwksUri = issuer is null ? $"{url}/.well-known/jwks.json" : $"{url}/jwks.json",
            TokenEndpoint = $"{url}/oauth2/token",
            TokenEndpointAuthMethods = methods,
            AssertionAlgorithms = AllAlgorithms,
            GrantTypes = Sorted(profiles.SelectMany(p => p.Grants)),
            Scopes = scopes.IsEmpty ? null : scopes,
            IntrospectionEndpoint = hasStatus ? $"{url}/oauth2/introspect" : null,
            IntrospectionAuthMethods = hasStatus ? methods : null,
            RevocationEndpoint = hasStatus ? $"{url}/oauth2/revoke" : null,
            RevocationAuthMethods = hasStatus ? methods : null,
            DpopAlgorithms = AllAlgorithms,
            SigningAlgorithms = keys.Algorithms,
        };
    }

    private static readonly ImmutableArray<string> AllAlgorithms = [.. SigningAlgorithm.All.Select(a => a.Name)];

    private static ImmutableArray<string> Sorted(IEnumerable<string> texts) =>
        [.. texts.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
}
