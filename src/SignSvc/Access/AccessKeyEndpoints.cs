using System.Collections.Immutable;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Http;
using SignSvc.Signing.Access;

namespace SignSvc.Access;

/// <param name="SecretAccessKey">Only in the answer that made it, never again.</param>
public sealed record AccessKeyAnswer(string AccessKeyId, DateTimeOffset CreatedAt, string? SecretAccessKey = null);

public sealed record AccessKeyList(ImmutableArray<AccessKeyAnswer> AccessKeys);

/// <summary><c>/v1/credentials/{credential}/access-keys</c>: for clients that sign their requests as AWS has it.</summary>
public static class AccessKeyEndpoints
{
    public static void MapAccessKeys(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/credentials/{credential}/access-keys").WithTags("Credentials").WithProblems();
        group.MapPost("/", CreateAsync).WithName("CreateAccessKey");
        group.MapGet("/", ListAsync).WithName("ListAccessKeys");
        group.MapDelete("/{accessKeyId}", DeleteAsync).WithName("DeleteAccessKey");
    }

    private static async Task<Created<AccessKeyAnswer>> CreateAsync(
        HttpContext http, string credential, AccessKeys accessKeys, CancellationToken cancellationToken)
    {
        var (key, secret) = await accessKeys.CreateAsync(http.Caller(), credential, cancellationToken);
        http.Response.Headers.CacheControl = "no-store";
        return TypedResults.Created($"/v1/credentials/{credential}/access-keys/{key.Id}", new AccessKeyAnswer(key.Id, key.CreatedAt, secret));
    }

    private static async Task<Ok<AccessKeyList>> ListAsync(
        HttpContext http, string credential, AccessKeys accessKeys, CancellationToken cancellationToken)
    {
        var keys = await accessKeys.ListAsync(http.Caller(), credential, cancellationToken);
        return TypedResults.Ok(new AccessKeyList([.. keys.Select(k => new AccessKeyAnswer(k.Id, k.CreatedAt))]));
    }

    private static async Task<NoContent> DeleteAsync(
        HttpContext http, string credential, string accessKeyId, AccessKeys accessKeys, CancellationToken cancellationToken)
    {
        await accessKeys.DeleteAsync(http.Caller(), credential, accessKeyId, cancellationToken);
        return TypedResults.NoContent();
    }
}
