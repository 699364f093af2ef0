using System.Collections.Immutable;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Http;
using SignSvc.Signing.Access;

namespace SignSvc.Access;

/// <param name="Name">See the rule for names; never used twice.</param>
/// <param name="Roles">One or more of <c>admin</c>, <c>operator</c>, <c>signer</c>, <c>auditor</c>.</param>
/// <param name="ExpiresAt">RFC 3339; within 366 days. Null: it does not expire.</param>
public sealed record NewCredentialBody(string Name, ImmutableArray<Role> Roles, DateTimeOffset? ExpiresAt = null);

/// <param name="Token">The bearer token: only in the answer that made it, never again.</param>
public sealed record CredentialAnswer(
    string Id, string Name, string Principal, ImmutableArray<Role> Roles, DateTimeOffset CreatedAt,
    DateTimeOffset? ExpiresAt, DateTimeOffset? RevokedAt, string? Token = null)
{
    public static CredentialAnswer Of(Credential c, string? token = null) =>
        new(c.Id, c.Name, c.Principal, c.Roles, c.CreatedAt, c.ExpiresAt, c.RevokedAt, token);
}

public sealed record CredentialList(ImmutableArray<CredentialAnswer> Credentials);

/// <summary><c>/v1/credentials</c>: who may come in by a bearer secret.</summary>
public static class CredentialEndpoints
{
    public static void MapCredentials(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/credentials").WithTags("Credentials").WithProblems();
        group.MapPost("/", CreateAsync).WithName("CreateCredential");
        group.MapGet("/", ListAsync).WithName("ListCredentials");
        group.MapPost("/{credential}/revoke", RevokeAsync).WithName("RevokeCredential");
    }

    private static async Task<Created<CredentialAnswer>> CreateAsync(
        HttpContext http, NewCredentialBody body, Credentials credentials, CancellationToken cancellationToken)
    {
        var roles = body.Roles.IsDefault ? [] : body.Roles;
        var (credential, token) = await credentials.CreateAsync(http.Caller(), body.Name, roles, body.ExpiresAt, cancellationToken);
        http.Response.Headers.CacheControl = "no-store";
        return TypedResults.Created($"/v1/credentials/{credential.Name}", CredentialAnswer.Of(credential, token));
    }

    private static async Task<Ok<CredentialList>> ListAsync(
        HttpContext http, Credentials credentials, CancellationToken cancellationToken)
    {
        var all = await credentials.ListAsync(http.Caller(), cancellationToken);
        return TypedResults.Ok(new CredentialList([.. all.Select(c => CredentialAnswer.Of(c))]));
    }

    private static async Task<Ok<CredentialAnswer>> RevokeAsync(
        HttpContext http, string credential, Credentials credentials, CancellationToken cancellationToken) =>
        TypedResults.Ok(CredentialAnswer.Of(await credentials.RevokeAsync(http.Caller(), credential, cancellationToken)));
}
