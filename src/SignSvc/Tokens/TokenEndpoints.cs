using System.Collections.Immutable;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using SignSvc.Access;
using SignSvc.Http;
using SignSvc.Signing;
using SignSvc.Signing.Tokens;

namespace SignSvc.Tokens;

/// <param name="Profile">Name of the token profile.</param>
/// <param name="Subject">The claim <c>sub</c>; default: the caller.</param>
/// <param name="Audience">A string or an array of strings; default: the profile's.</param>
/// <param name="LifetimeSeconds">Default: the profile's.</param>
/// <param name="Claims">Further claims; registered ones cannot be set.</param>
public sealed record TokenBody(
    string Profile, string? Subject = null, JsonElement? Audience = null, int? LifetimeSeconds = null, JsonElement? Claims = null);

public sealed record TokenAnswer(string Token, DateTimeOffset ExpiresAt, string Kid, string TokenId, string AuditId)
{
    public static TokenAnswer Of(IssuedToken t) => new(t.Token, t.ExpiresAt, t.Kid, t.TokenId, t.AuditId);
}

public sealed record TokenItemBody(
    string? Subject = null, JsonElement? Audience = null, int? LifetimeSeconds = null, JsonElement? Claims = null);

/// <param name="Items">1 to 10,000.</param>
public sealed record TokenBatchBody(string Profile, ImmutableArray<TokenItemBody> Items);

/// <summary>One item's token, or its problem.</summary>
public sealed record TokenItemAnswer(
    string? Token = null, DateTimeOffset? ExpiresAt = null, string? Kid = null, string? TokenId = null, string? AuditId = null,
    Problem? Problem = null);

public sealed record TokenBatchAnswer(ImmutableArray<TokenItemAnswer> Results);

/// <summary><c>/v1/tokens</c>.</summary>
public static class TokenEndpoints
{
    public const int MaxBatch = 10_000;

    /// <summary>The issuer is where the service is reached: as configured, or the first address it serves, known once it serves.</summary>
    public static void AddTokens(this IServiceCollection services, Settings settings) =>
        services.AddSingleton(provider => new TokenIssuing(settings.PublicUrl ?? provider.Addresses().First()));

    public static void MapTokens(this IEndpointRouteBuilder routes)
    {
        var batchBytes = routes.ServiceProvider.GetRequiredService<Embedded.Node>().Settings.Limits.BatchBodyBytes;
        var group = routes.MapGroup("/v1/tokens").WithTags("Tokens").WithProblems();
        group.MapPost("/", IssueAsync).WithName("IssueToken");
        group.MapPost("/batch", IssueBatchAsync).WithName("IssueTokens").WithMetadata(new RequestSizeLimitAttribute(batchBytes));
    }

    private static async Task<Created<TokenAnswer>> IssueAsync(
        HttpContext http, TokenBody body, Signer signer, CancellationToken cancellationToken)
    {
        var request = TokenRequest.Parse(body.Subject, body.Audience, body.LifetimeSeconds, body.Claims);
        var token = await signer.IssueAsync(http.Caller(), new TokenOrder(body.Profile, request), cancellationToken);
        http.Response.Headers.CacheControl = "no-store";
        return TypedResults.Created((string?)null, TokenAnswer.Of(token));
    }

    private static async Task<Ok<TokenBatchAnswer>> IssueBatchAsync(
        HttpContext http, TokenBatchBody body, Signer signer, CancellationToken cancellationToken)
    {
        var items = Batches.Check(body.Items, MaxBatch);
        var parsed = Batches.Parse(
            items, i => new TokenOrder(body.Profile, TokenRequest.Parse(i.Subject, i.Audience, i.LifetimeSeconds, i.Claims)));
        var outcomes = await signer.IssueBatchAsync(http.Caller(), Batches.Valid(parsed), cancellationToken);
        var results = Batches.Merge(
            parsed, outcomes,
            (_, t) => new TokenItemAnswer(t.Token, t.ExpiresAt, t.Kid, t.TokenId, t.AuditId),
            refusal => new TokenItemAnswer(Problem: Problems.Of(refusal)));
        http.Response.Headers.CacheControl = "no-store";
        return TypedResults.Ok(new TokenBatchAnswer(results));
    }
}
