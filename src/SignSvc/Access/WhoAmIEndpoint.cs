using System.Collections.Immutable;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Http;
using SignSvc.Signing.Access;

namespace SignSvc.Access;

/// <param name="Principal">The name that policies and the audit know the caller by.</param>
/// <param name="Source">The credential's name, the issuer's, or the certificate's SHA-256 in hex.</param>
/// <param name="Claims">What policies may ask for as <c>caller.NAME</c>.</param>
/// <param name="Address">Where the request came from, as this service sees it.</param>
/// <param name="ExpiresAt">From then on what the caller showed is refused.</param>
public sealed record WhoAmIAnswer(
    string Principal, CallerKind? Kind, string? Source, ImmutableArray<Role> Roles,
    ImmutableSortedDictionary<string, ImmutableArray<string>> Claims, string? Address, DateTimeOffset? ExpiresAt);

/// <summary>
/// <c>GET /v1/whoami</c>: how the caller was understood. Whoever is known may ask: it says nothing that the caller did not
/// bring, so it is neither an action of policies nor on record.
/// </summary>
public static class WhoAmIEndpoint
{
    public static void MapWhoAmI(this IEndpointRouteBuilder routes) =>
        routes.MapGroup("/v1/whoami").WithTags("Callers").WithProblems().MapGet("/", WhoAmI).WithName("WhoAmI");

    private static Ok<WhoAmIAnswer> WhoAmI(HttpContext http)
    {
        var caller = http.Caller();
        var identity = http.CallerIdentity();
        http.Response.Headers.CacheControl = "no-store";
        return TypedResults.Ok(new WhoAmIAnswer(
            caller.Principal, identity?.Kind, identity?.Source, caller.Roles,
            caller.Claims.ToImmutableSortedDictionary(StringComparer.Ordinal), caller.Address, identity?.ExpiresAt));
    }
}
