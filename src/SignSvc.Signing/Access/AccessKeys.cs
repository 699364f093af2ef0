using System.Buffers.Text;
using System.Collections.Immutable;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Access;

/// <summary>Access keys of service credentials: made, listed, deleted, and opened to verify a signed request. They live and die with their credential.</summary>
public sealed class AccessKeys(LiveSnapshot live, Decisions decisions, IWrapsKeys wrapping, TimeProvider time)
{
    /// <summary>As AWS has it: the one in use and its successor.</summary>
    public const int MaxPerCredential = 2;

    private const int SecretLength = 30;

    /// <returns>The access key and its secret, 40 characters that are never shown again.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>: no such credential; <see cref="SigningFault.InvalidRequest"/>: it has two already, or is refused itself; <see cref="SigningFault.Forbidden"/>: also where it may do what the caller may not.</exception>
    public Task<(AccessKey Key, string Secret)> CreateAsync(Caller caller, string credential, CancellationToken cancellationToken)
    {
        var draft = decisions.DraftOfCredential(caller, Actions.CredentialsCreate, credential);
        return decisions.ChangeAsync(caller, draft, async permit =>
        {
            var basis = live.Current;
            var owner = basis.ExistingCredential(credential);
            basis.Access.RefuseMoreThanHeld(caller, owner, basis.Keys, time.GetUtcNow());
            if (!owner.IsLive(time.GetUtcNow()))
                throw new SigningException(SigningFault.InvalidRequest, $"The credential {owner.Name} has expired or was revoked.");
            decisions.RefuseTakingOver(caller, owner.Principal, owner.Roles);
            var present = owner.AccessKeys ?? [];
            if (present.Length >= MaxPerCredential)
                throw new SigningException(SigningFault.InvalidRequest, $"A credential has at most {MaxPerCredential} access keys: delete one first.");

            var id = AccessKey.NewId(owner.Id);
            var secret = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(SecretLength));
            var key = new AccessKey
            {
                Id = id,
                WrappedSecret = await wrapping.WrapAsync(Encoding.ASCII.GetBytes(secret), ContextOf(id), cancellationToken),
                CreatedAt = time.GetUtcNow(),
            };
            var record = draft with { Detail = $"access key {id} made" };
            await live.ChangeAsync(permit, record, cancellationToken, Change.Of(owner with { AccessKeys = present.Add(key) }, basis));
            return (key, secret);
        }, subject: () => ApprovalSubject.Of(Actions.CredentialsCreate, draft.Resource!, ("accessKey", "new")));
    }

    public Task<ImmutableArray<AccessKey>> ListAsync(Caller caller, string credential, CancellationToken cancellationToken) =>
        decisions.ReadAsync(
            caller, decisions.DraftOfCredential(caller, Actions.CredentialsRead, credential),
            _ => ValueTask.FromResult(live.Current.ExistingCredential(credential).AccessKeys ?? []), cancellationToken);

    /// <summary>From the moment this returns it is refused, and its secret is kept no more.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>.</exception>
    public Task DeleteAsync(Caller caller, string credential, string id, CancellationToken cancellationToken)
    {
        var draft = decisions.DraftOfCredential(caller, Actions.CredentialsRevoke, credential);
        return decisions.ChangeAsync(caller, draft, async permit =>
        {
            var basis = live.Current;
            var owner = basis.ExistingCredential(credential);
            var key = owner.AccessKeys?.FirstOrDefault(k => string.Equals(k.Id, id, StringComparison.Ordinal))
                ?? throw new SigningException(SigningFault.NotFound, "The credential has no such access key.");
            var record = draft with { Detail = $"access key {key.Id} deleted" };
            return await live.ChangeAsync(
                permit, record, cancellationToken, Change.Of(owner with { AccessKeys = owner.AccessKeys!.Value.Remove(key) }, basis));
        }, subject: () => ApprovalSubject.Of(Actions.CredentialsRevoke, draft.Resource!, ("accessKey", id)));
    }

    /// <summary>For authentication alone. The caller zeroes the secret.</summary>
    /// <param name="from">Where the caller is; null on a Unix socket.</param>
    /// <returns>Null where there is no such access key, or its credential has expired, was revoked or may not be used from there.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.BackendFailed"/>: it was stored under another root key.</exception>
    public async ValueTask<(Credential Credential, byte[] Secret)?> OpenAsync(string id, IPAddress? from, CancellationToken cancellationToken)
    {
        if (AccessKey.CredentialIdOf(id) is not { } credentialId
            || !live.Current.Credentials.TryGetValue(credentialId, out var credential)
            || !credential.IsUsable(time.GetUtcNow(), from)
            || credential.AccessKeys?.FirstOrDefault(k => string.Equals(k.Id, id, StringComparison.Ordinal)) is not { } key)
        {
            return null;
        }

        return (credential, await wrapping.UnwrapAsync(key.WrappedSecret, ContextOf(id), cancellationToken));
    }

    /// <summary>No key has such an id, so that neither can be put in the other's place.</summary>
    private static WrappingContext ContextOf(string id) => new($"access-key/{id}", 1, KeyPurpose.Tokens);
}
