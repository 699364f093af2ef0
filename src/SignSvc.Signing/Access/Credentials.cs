using System.Collections.Immutable;
using System.Security.Cryptography;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Access;

/// <summary>Service credentials: made, listed, revoked, and recognised.</summary>
public sealed class Credentials(LiveSnapshot live, Decisions decisions, TimeProvider time)
{
    public static readonly TimeSpan MaxLifetime = TimeSpan.FromDays(366);

    /// <summary>Names a caller by its bearer token. No I/O, and the same work for a wrong secret as for a right one.</summary>
    /// <returns>Null where the token is none of ours, wrong, expired or revoked: the caller learns no more.</returns>
    public Credential? Recognise(ReadOnlySpan<char> token)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        return Credential.TryReadToken(token, out var id, hash)
            && live.Current.Credentials.TryGetValue(id, out var credential)
            && credential.Accepts(hash, time.GetUtcNow())
                ? credential
                : null;
    }

    /// <returns>The credential and its bearer token, which is never shown again.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, <see cref="SigningFault.NameTaken"/>, <see cref="SigningFault.Forbidden"/>.</exception>
    public Task<(Credential Credential, string Token)> CreateAsync(
        Caller caller, string? name, IReadOnlyCollection<Role> roles, DateTimeOffset? expiresAt, CancellationToken cancellationToken)
    {
        var draft = decisions.Draft(caller, Actions.CredentialsCreate, KeyName.IsValid(name) ? $"credential/{name}" : null);
        return decisions.ChangeAsync(caller, draft, async permit =>
        {
            var now = time.GetUtcNow();
            var valid = KeyName.Parse(name);
            if (roles.Count == 0)
                throw new SigningException(SigningFault.InvalidRequest, "A credential has at least one role.");
            if (expiresAt <= now || expiresAt > now + MaxLifetime)
                throw new SigningException(SigningFault.InvalidRequest, $"expiresAt lies within the next {MaxLifetime.Days} days.");

            live.Current.Access.RefuseMoreThanHeld(caller, roles, now);

            var (credential, token) = Credential.Create(valid, [.. roles.Distinct()], now, expiresAt);
            var record = draft with { Detail = $"roles {string.Join(", ", credential.Roles)}", ExpiresAt = expiresAt };
            await live.ChangeAsync(permit, record, cancellationToken, Change.Of(credential, Snapshot.Empty));
            return (credential, token);
        });
    }

    public Task<ImmutableArray<Credential>> ListAsync(Caller caller, CancellationToken cancellationToken) =>
        decisions.ReadAsync(
            caller,
            decisions.Draft(caller, Actions.CredentialsRead),
            _ => ValueTask.FromResult(live.Current.Credentials.Values.OrderBy(c => c.Name, StringComparer.Ordinal).ToImmutableArray()),
            cancellationToken);

    /// <summary>From the moment this returns the credential is refused. Doing it twice is no fault.</summary>
    /// <param name="reference">An id or a name.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>, <see cref="SigningFault.Forbidden"/>.</exception>
    public Task<Credential> RevokeAsync(Caller caller, string reference, CancellationToken cancellationToken)
    {
        var draft = decisions.Draft(caller, Actions.CredentialsRevoke, Decisions.Resource("credential", reference));
        return decisions.ChangeAsync(caller, draft, async permit =>
        {
            var basis = live.Current;
            var credential = basis.Credentials.Values.FirstOrDefault(c =>
                    string.Equals(c.Id, reference, StringComparison.Ordinal)
                    || string.Equals(c.Name, reference, StringComparison.Ordinal))
                ?? throw new SigningException(SigningFault.NotFound, "There is no such credential.");
            var revoked = credential with { RevokedAt = credential.RevokedAt ?? time.GetUtcNow() };
            await live.ChangeAsync(permit, draft, cancellationToken, Change.Of(revoked, basis));
            return revoked;
        });
    }
}
