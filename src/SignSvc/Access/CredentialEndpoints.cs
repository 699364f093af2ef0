using System.Collections.Immutable;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Http;
using SignSvc.Signing.Access;

namespace SignSvc.Access;

/// <param name="Name">See the rule for names; never used twice.</param>
/// <param name="Roles">One or more of <c>admin</c>, <c>operator</c>, <c>signer</c>, <c>auditor</c>.</param>
/// <param name="ExpiresAt">RFC 3339; within 366 days. Null: it does not expire.</param>
/// <param name="Addresses">Networks in CIDR notation that it may be used from. Default: anywhere.</param>
public sealed record NewCredentialBody(
    string Name, ImmutableArray<Role> Roles, DateTimeOffset? ExpiresAt = null, ImmutableArray<string>? Addresses = null);

/// <param name="OverlapSeconds">How long the old secret stays good; 0 to 2592000.</param>
/// <param name="ExpiresAt">Default: as it was.</param>
public sealed record RotateCredentialBody(int OverlapSeconds = RotateCredentialBody.DefaultOverlapSeconds, DateTimeOffset? ExpiresAt = null)
{
    public const int DefaultOverlapSeconds = 3600;
}

/// <param name="PreviousUntil">Until when the secret before is good, too.</param>
/// <param name="LastUsedAt">When the node that answers last recognised it, since it started.</param>
/// <param name="Token">The bearer token: only in the answer that made it, never again.</param>
/// <param name="TokenEndpointAuthMethods">How it may prove itself as an OAuth client; null: by its secret.</param>
public sealed record CredentialAnswer(
    string Id, string Name, string Principal, ImmutableArray<Role> Roles, DateTimeOffset CreatedAt,
    DateTimeOffset? ExpiresAt, DateTimeOffset? RevokedAt, DateTimeOffset? RotatedAt = null, DateTimeOffset? PreviousUntil = null,
    ImmutableArray<string>? Addresses = null, DateTimeOffset? LastUsedAt = null, string? Token = null,
    ImmutableArray<string>? TokenEndpointAuthMethods = null)
{
    public static CredentialAnswer Of(Credential c, DateTimeOffset? lastUse, string? token = null) =>
        new(c.Id, c.Name, c.Principal, c.Roles, c.CreatedAt, c.ExpiresAt, c.RevokedAt, c.RotatedAt, c.PreviousUntil,
            c.Addresses.IsEmpty ? null : c.Addresses, lastUse, token,
            c.ClientMethods ?? (c.ClientKeys.IsEmpty ? null : ClientMethod.Usual(c.ClientKeys)));
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
        group.MapGet("/{credential}", ReadAsync).WithName("ReadCredential");
        group.MapPost("/{credential}/rotate", RotateAsync).WithName("RotateCredential");
        group.MapPost("/{credential}/revoke", RevokeAsync).WithName("RevokeCredential");
    }

    private static async Task<Created<CredentialAnswer>> CreateAsync(
        HttpContext http, NewCredentialBody body, Credentials credentials, CancellationToken cancellationToken)
    {
        var roles = body.Roles.IsDefault ? [] : body.Roles;
        var (credential, token) = await credentials.CreateAsync(
            http.Caller(), body.Name, roles, body.ExpiresAt, body.Addresses is { IsDefault: false } a ? a : [], cancellationToken);
        http.Response.Headers.CacheControl = "no-store";
        return TypedResults.Created($"/v1/credentials/{credential.Name}", CredentialAnswer.Of(credential, lastUse: null, token));
    }

    private static async Task<Ok<CredentialList>> ListAsync(
        HttpContext http, Credentials credentials, CancellationToken cancellationToken)
    {
        var all = await credentials.ListAsync(http.Caller(), cancellationToken);
        return TypedResults.Ok(new CredentialList([.. all.Select(c => CredentialAnswer.Of(c, credentials.LastUse(c)))]));
    }

    private static async Task<Ok<CredentialAnswer>> ReadAsync(
        HttpContext http, string credential, Credentials credentials, CancellationToken cancellationToken)
    {
        var read = await credentials.ReadAsync(http.Caller(), credential, cancellationToken);
        return TypedResults.Ok(CredentialAnswer.Of(read, credentials.LastUse(read)));
    }

    /// <param name="force">Also where nobody could administer the service before long.</param>
    private static async Task<Ok<CredentialAnswer>> RotateAsync(
        HttpContext http, string credential, RotateCredentialBody? body, Credentials credentials, CancellationToken cancellationToken, bool force = false)
    {
        var overlap = TimeSpan.FromSeconds(body?.OverlapSeconds ?? RotateCredentialBody.DefaultOverlapSeconds);
        var (rotated, token) = await credentials.RotateAsync(http.Caller(), credential, overlap, body?.ExpiresAt, force, cancellationToken);
        http.Response.Headers.CacheControl = "no-store";
        return TypedResults.Ok(CredentialAnswer.Of(rotated, credentials.LastUse(rotated), token));
    }

    private static async Task<Ok<CredentialAnswer>> RevokeAsync(
        HttpContext http, string credential, Credentials credentials, CancellationToken cancellationToken, bool force = false)
    {
        var revoked = await credentials.RevokeAsync(http.Caller(), credential, force, cancellationToken);
        return TypedResults.Ok(CredentialAnswer.Of(revoked, credentials.LastUse(revoked)));
    }
}
