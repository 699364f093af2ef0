using System.Collections.Immutable;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Http;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Grants;
using SignSvc.Signing.Access.Policies;

namespace SignSvc.Access;

/// <param name="Grantee">A principal, or a pattern of some: <c>oidc:github:repo:acme/app:*</c>.</param>
/// <param name="Operations">Some of <c>keys:Sign</c>, <c>keys:Verify</c>, <c>keys:Read</c>.</param>
/// <param name="Name">Asked twice under one name, for the same, it is the same grant.</param>
/// <param name="Constraints">As a statement's conditions: <c>{"stringEquals":{"context.ref":"refs/heads/main"}}</c>.</param>
/// <param name="ExpiresAt">RFC 3339. Null: it does not expire.</param>
/// <param name="MaxUses">Signatures in all. Null: any number.</param>
public sealed record NewGrantBody(
    string Grantee, ImmutableArray<string> Operations, string? Name = null,
    PolicyConditions? Constraints = null,
    DateTimeOffset? ExpiresAt = null, int? MaxUses = null);

/// <param name="UsesLeft">Null: any number.</param>
/// <param name="Token">Send it as <c>SignSvc-Grant-Token</c> to nodes that may not know the grant yet; only in the answer that made it.</param>
public sealed record GrantAnswer(
    string Id, string KeyId, string? Name, string Grantee, ImmutableArray<string> Operations,
    PolicyConditions Constraints,
    DateTimeOffset CreatedAt, string CreatedBy, DateTimeOffset? ExpiresAt, int? MaxUses, int? UsesLeft, string? Token = null)
{
    public static GrantAnswer Of(Grant g, string? token = null) => new(
        g.Id, g.KeyId, g.Name, g.Grantee, g.Operations, g.Constraints, g.CreatedAt, g.CreatedBy, g.ExpiresAt, g.MaxUses, g.MaxUses - g.Uses, token);
}

public sealed record GrantList(ImmutableArray<GrantAnswer> Grants);

/// <summary><c>/v1/keys/{key}/grants</c>: one key lent to somebody, within bounds.</summary>
public static class GrantEndpoints
{
    public const string TokenHeader = "SignSvc-Grant-Token";

    /// <summary>Comes after the caller is known: strangers make nobody read the store.</summary>
    public static void UseGrantTokens(this WebApplication app)
    {
        var tokens = app.Services.GetRequiredService<GrantTokens>();
        app.Use(next => http =>
            http.Request.Headers.TryGetValue(TokenHeader, out var header) && header is [{ } token] && http.Features.Get<Caller>() is not null
                ? HeedAsync(http, token, next)
                : next(http));

        async Task HeedAsync(HttpContext http, string token, RequestDelegate next)
        {
            await tokens.HeedAsync(token, http.RequestAborted);
            await next(http);
        }
    }

    public static void MapGrants(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/keys/{key}/grants").WithTags("Grants").WithProblems();
        group.MapPost("/", CreateAsync).WithName("CreateGrant");
        group.MapGet("/", ListAsync).WithName("ListGrants");
        group.MapDelete("/{grant}", RevokeAsync).WithName("RevokeGrant");
        group.MapPost("/{grant}/retire", RetireAsync).WithName("RetireGrant");
    }

    private static async Task<Created<GrantAnswer>> CreateAsync(
        HttpContext http, string key, NewGrantBody body, KeyGrants grants, GrantTokens tokens, CancellationToken cancellationToken)
    {
        var request = new NewGrant(body.Name, body.Grantee, body.Operations, body.Constraints, body.ExpiresAt, body.MaxUses);
        var grant = await grants.CreateAsync(http.Caller(), key, request, cancellationToken);
        return TypedResults.Created($"/v1/keys/{grant.KeyId}/grants/{grant.Id}", GrantAnswer.Of(grant, tokens.For(grant)));
    }

    private static async Task<Ok<GrantList>> ListAsync(HttpContext http, string key, KeyGrants grants, CancellationToken cancellationToken) =>
        TypedResults.Ok(new GrantList([.. (await grants.ListAsync(http.Caller(), key, cancellationToken)).Select(g => GrantAnswer.Of(g))]));

    private static async Task<NoContent> RevokeAsync(
        HttpContext http, string key, string grant, KeyGrants grants, CancellationToken cancellationToken)
    {
        await grants.RevokeAsync(http.Caller(), key, grant, cancellationToken);
        return TypedResults.NoContent();
    }

    private static async Task<NoContent> RetireAsync(
        HttpContext http, string key, string grant, KeyGrants grants, CancellationToken cancellationToken)
    {
        await grants.RetireAsync(http.Caller(), key, grant, cancellationToken);
        return TypedResults.NoContent();
    }
}
