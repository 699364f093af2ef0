using System.Collections.Immutable;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Access;
using SignSvc.Http;
using SignSvc.Signing.Keys;

namespace SignSvc.Keys;

/// <param name="Key">Id or name of the key that it shall stand for.</param>
public sealed record AliasBody(string Key);

public sealed record AliasAnswer(string Alias, string KeyId, string Key);

public sealed record AliasList(ImmutableArray<AliasAnswer> Aliases);

/// <summary><c>/v1/aliases/{alias}</c>; an alias may hold slashes.</summary>
public static class AliasEndpoints
{
    public static void MapAliases(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/aliases").WithTags("Keys").WithProblems();
        group.MapGet("/", ListAsync).WithName("ListAliases");
        group.MapGet("/{**alias}", ReadAsync).WithName("ReadAlias");
        group.MapPut("/{**alias}", PutAsync).WithName("PutAlias");
        group.MapDelete("/{**alias}", DeleteAsync).WithName("DeleteAlias");
    }

    private static async Task<Ok<AliasList>> ListAsync(HttpContext http, KeyAliases aliases, CancellationToken cancellationToken) =>
        TypedResults.Ok(new AliasList(
            [.. (await aliases.ListAsync(http.Caller(), cancellationToken)).Select(a => new AliasAnswer(a.Alias, a.Key.Id, a.Key.Name))]));

    private static async Task<Ok<AliasAnswer>> ReadAsync(
        HttpContext http, string alias, KeyAliases aliases, CancellationToken cancellationToken)
    {
        alias = Decoded(alias);
        var key = await aliases.ReadAsync(http.Caller(), alias, cancellationToken);
        return TypedResults.Ok(new AliasAnswer(alias, key.Id, key.Name));
    }

    private static async Task<Ok<AliasAnswer>> PutAsync(
        HttpContext http, string alias, AliasBody body, KeyAliases aliases, CancellationToken cancellationToken)
    {
        alias = Decoded(alias);
        var key = await aliases.PutAsync(http.Caller(), alias, body.Key, cancellationToken, onlyIf: http.OnlyIf());
        http.Response.Headers.ETag = KeyCondition.HeaderOf(key);
        return TypedResults.Ok(new AliasAnswer(alias, key.Id, key.Name));
    }

    private static async Task<NoContent> DeleteAsync(
        HttpContext http, string alias, KeyAliases aliases, CancellationToken cancellationToken)
    {
        var key = await aliases.DeleteAsync(http.Caller(), Decoded(alias), cancellationToken, http.OnlyIf());
        http.Response.Headers.ETag = KeyCondition.HeaderOf(key);
        return TypedResults.NoContent();
    }

    /// <summary>Routing leaves an encoded slash as it is; both ways to write an alias name the same one.</summary>
    private static string Decoded(string alias) => alias.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
}
