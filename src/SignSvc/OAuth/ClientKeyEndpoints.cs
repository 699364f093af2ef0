using System.Collections.Immutable;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Access;
using SignSvc.Http;
using SignSvc.Signing;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Storage;

namespace SignSvc.OAuth;

/// <param name="Kid">As the client names it in its assertions.</param>
/// <param name="Thumbprint">RFC 7638.</param>
public sealed record ClientKeyAnswer(string? Kid, string Algorithm, string Thumbprint);

/// <param name="TokenEndpointAuthMethods">How the client may prove itself from now on.</param>
public sealed record ClientKeyList(ImmutableArray<ClientKeyAnswer> Keys, ImmutableArray<string> TokenEndpointAuthMethods);

/// <summary>The keys under which a service credential's assertions are taken (<c>private_key_jwt</c>), and by which methods it proves itself.</summary>
internal sealed class ClientKeys(LiveSnapshot live, Decisions decisions)
{
    /// <summary>All keys and methods from now on; an empty set takes the keys off, and without methods they follow from the keys.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, <see cref="SigningFault.NotFound"/>, <see cref="SigningFault.Forbidden"/>, <see cref="SigningFault.Conflict"/>.</exception>
    public Task<Credential> PutAsync(Caller caller, string reference, JsonElement set, CancellationToken cancellationToken)
    {
        var draft = decisions.DraftOfCredential(caller, Actions.CredentialsUpdate, reference);
        return decisions.ChangeAsync(caller, draft, async permit =>
        {
            var basis = live.Current;
            var credential = basis.ExistingCredential(reference);
            decisions.RefuseTakingOver(caller, credential.Principal, credential.Roles);
            var keys = ClientKey.ParseSet(set);
            var changed = credential with { ClientKeys = keys, ClientMethods = ClientMethod.Parse(set, keys) };
            var methods = changed.ClientMethods is { } given ? $", methods {string.Join(", ", given)}" : "";
            var record = draft with { Detail = $"client keys {string.Join(", ", keys.Select(k => k.PublicKey.Kid))}{methods}" };
            await live.ChangeAsync(permit, record, cancellationToken, Change.Of(changed, basis));
            return changed;
        }, subject: () => ApprovalSubject.Of(Actions.CredentialsUpdate, draft.Resource!, ("keys", set.GetRawText())));
    }
}

/// <summary><c>PUT /v1/credentials/{credential}/keys</c>.</summary>
public static class ClientKeyEndpoints
{
    public static void MapClientKeys(this IEndpointRouteBuilder routes) =>
        routes.MapGroup("/v1/credentials/{credential}/keys").WithTags("Credentials").WithProblems()
            .MapPut("/", PutAsync).WithName("PutCredentialKeys");

    private static async Task<Ok<ClientKeyList>> PutAsync(
        HttpContext http, string credential, JsonElement body, CancellationToken cancellationToken)
    {
        var keys = http.RequestServices.GetRequiredService<ClientKeys>();
        var changed = await keys.PutAsync(http.Caller(), credential, body, cancellationToken);
        return TypedResults.Ok(new ClientKeyList(
            [.. changed.ClientKeys.Select(k => new ClientKeyAnswer(k.Kid, k.Algorithm.Name, k.PublicKey.Kid))],
            changed.ClientMethods ?? ClientMethod.Usual(changed.ClientKeys)));
    }
}
