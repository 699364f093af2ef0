using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Access;

/// <summary>Service credentials: made, listed, revoked, and recognised.</summary>
public sealed class Credentials(LiveSnapshot live, Decisions decisions, TimeProvider time)
{
    public const int MaxAddresses = 64;

    public static readonly TimeSpan MaxLifetime = TimeSpan.FromDays(366);

    /// <summary>Of administration there has to be so much left after a change, so that somebody notices in time.</summary>
    public static readonly TimeSpan AdministrationLeft = TimeSpan.FromDays(7);

    /// <summary>How long an old secret may stay good beside the new one.</summary>
    public static readonly TimeSpan MaxOverlap = TimeSpan.FromDays(30);

    private readonly ConcurrentDictionary<string, long> _lastUses = new(StringComparer.Ordinal);

    /// <summary>Names a caller by its bearer token. No I/O, and the same work for a wrong secret as for a right one.</summary>
    /// <param name="from">The peer's address; null on a Unix socket.</param>
    /// <returns>Null where the token is none of ours, wrong, expired, revoked, or used from where it must not: the caller learns no more.</returns>
    public Credential? Recognise(ReadOnlySpan<char> token, IPAddress? from)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        var now = time.GetUtcNow();
        if (!Credential.TryReadToken(token, out var id, hash)
            || !live.Current.Credentials.TryGetValue(id, out var credential)
            || !credential.Accepts(hash, now, from))
            return null;
        NoteUse(credential.Id, now.ToUnixTimeSeconds());
        return credential;
    }

    /// <summary>For ways of recognising it that are not its bearer token.</summary>
    public void NoteUse(Credential credential) => NoteUse(credential.Id, time.GetUtcNow().ToUnixTimeSeconds());

    /// <summary>When this node last recognised it, to the second; null: not since the node started. The audit holds the whole truth.</summary>
    public DateTimeOffset? LastUse(Credential credential) =>
        _lastUses.TryGetValue(credential.Id, out var second) ? DateTimeOffset.FromUnixTimeSeconds(second) : null;

    /// <returns>The credential and its bearer token, which is never shown again.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, <see cref="SigningFault.NameTaken"/>, <see cref="SigningFault.Forbidden"/>.</exception>
    public Task<(Credential Credential, string Token)> CreateAsync(
        Caller caller, string? name, IReadOnlyCollection<Role> roles, DateTimeOffset? expiresAt, IReadOnlyCollection<string> addresses,
        CancellationToken cancellationToken)
    {
        var draft = decisions.Draft(caller, Actions.CredentialsCreate, KeyName.IsValid(name) ? $"credential/{name}" : null);
        return decisions.ChangeAsync(caller, draft, async permit =>
        {
            var now = time.GetUtcNow();
            var valid = KeyName.Parse(name);
            if (roles.Count == 0)
                throw new SigningException(SigningFault.InvalidRequest, "A credential has at least one role.");
            RequireExpiry(expiresAt, now);
            if (addresses.Count > MaxAddresses || !addresses.All(IsNetwork))
                throw new SigningException(SigningFault.InvalidRequest, $"addresses are at most {MaxAddresses} networks such as 10.0.0.0/8 or 2001:db8::/32, with no bits behind the prefix.");

            decisions.RefuseTakingOver(caller, $"credential:{valid}", roles);

            var (made, token) = Credential.Create(valid, [.. roles.Distinct()], now, expiresAt);
            var credential = made with { Addresses = [.. addresses] };
            var record = draft with { Detail = $"roles {string.Join(", ", credential.Roles)}", ExpiresAt = expiresAt };
            await live.ChangeAsync(permit, record, cancellationToken, Change.Of(credential, Snapshot.Empty));
            return (credential, token);
        }, subject: () => ApprovalSubject.Of(
            Actions.CredentialsCreate, Decisions.Resource("credential", name ?? ""), ("roles", string.Join(' ', roles.Order())),
            ("expiresAt", ApprovalSubject.Text(expiresAt)), ("addresses", string.Join(' ', addresses.Order(StringComparer.Ordinal)))));
    }

    public Task<ImmutableArray<Credential>> ListAsync(Caller caller, CancellationToken cancellationToken) =>
        decisions.ReadAsync(
            caller,
            decisions.Draft(caller, Actions.CredentialsRead),
            _ => ValueTask.FromResult(live.Current.Credentials.Values.OrderBy(c => c.Name, StringComparer.Ordinal).ToImmutableArray()),
            cancellationToken);

    /// <param name="reference">An id or a name.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>, <see cref="SigningFault.Forbidden"/>.</exception>
    public Task<Credential> ReadAsync(Caller caller, string reference, CancellationToken cancellationToken) =>
        decisions.ReadAsync(
            caller,
            decisions.DraftOfCredential(caller, Actions.CredentialsRead, reference),
            _ => ValueTask.FromResult(live.Current.ExistingCredential(reference)),
            cancellationToken);

    /// <summary>Gives a new secret; the old one stays good for the overlap, and is refused at once where that is zero.</summary>
    /// <param name="reference">An id or a name.</param>
    /// <param name="expiresAt">Null: as it was.</param>
    /// <param name="force">Also where nobody could administer the service any more before long.</param>
    /// <returns>The credential and its new bearer token, which is never shown again.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, <see cref="SigningFault.NotFound"/>, <see cref="SigningFault.Conflict"/>: revoked or expired; <see cref="SigningFault.LocksOut"/>; <see cref="SigningFault.Forbidden"/>.</exception>
    public Task<(Credential Credential, string Token)> RotateAsync(
        Caller caller, string reference, TimeSpan overlap, DateTimeOffset? expiresAt, bool force, CancellationToken cancellationToken)
    {
        var draft = decisions.DraftOfCredential(caller, Actions.CredentialsRotate, reference);
        return decisions.ChangeAsync(caller, draft, async permit =>
        {
            var now = time.GetUtcNow();
            if (overlap < TimeSpan.Zero || overlap > MaxOverlap)
                throw new SigningException(SigningFault.InvalidRequest, $"overlapSeconds is from 0 to {(int)MaxOverlap.TotalSeconds}.");
            RequireExpiry(expiresAt, now);
            var basis = live.Current;
            var credential = basis.ExistingCredential(reference);
            if (credential.RevokedAt is not null || (expiresAt ?? credential.ExpiresAt) <= now)
                throw new SigningException(SigningFault.Conflict, "A credential that is revoked, or that has expired and gets no new expiresAt, is not rotated.");
            // Whoever gets the new secret speaks as the credential.
            decisions.RefuseTakingOver(caller, credential.Principal, credential.Roles);
            // What has expired stays refused: the new end is the new secret's.
            var kept = credential.IsLive(now) ? overlap : TimeSpan.Zero;
            var (rotated, token) = credential.Rotate(now, kept, expiresAt ?? credential.ExpiresAt);
            if (!force)
                RefuseLockout(basis, rotated, now);
            var record = draft with { Detail = $"overlap {(int)kept.TotalSeconds} s", ExpiresAt = rotated.ExpiresAt };
            await live.ChangeAsync(permit, record, cancellationToken, Change.Of(rotated, basis));
            return (rotated, token);
        }, subject: () => ApprovalSubject.Of(
            Actions.CredentialsRotate, draft.Resource!, ("overlapSeconds", overlap.TotalSeconds.ToString(CultureInfo.InvariantCulture)),
            ("expiresAt", ApprovalSubject.Text(expiresAt)), ("force", force ? "true" : "false")));
    }

    /// <summary>From the moment this returns the credential is refused. Doing it twice is no fault.</summary>
    /// <param name="reference">An id or a name.</param>
    /// <param name="force">Also where nobody could administer the service any more.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>, <see cref="SigningFault.Forbidden"/>.</exception>
    public Task<Credential> RevokeAsync(Caller caller, string reference, bool force, CancellationToken cancellationToken)
    {
        var draft = decisions.DraftOfCredential(caller, Actions.CredentialsRevoke, reference);
        return decisions.ChangeAsync(caller, draft, async permit =>
        {
            var basis = live.Current;
            var credential = basis.ExistingCredential(reference);
            var revoked = credential with { RevokedAt = credential.RevokedAt ?? time.GetUtcNow() };
            if (!force)
                RefuseLockout(basis, revoked, time.GetUtcNow());
            await live.ChangeAsync(permit, draft, cancellationToken, Change.Of(revoked, basis));
            return revoked;
        }, subject: () => ApprovalSubject.Of(Actions.CredentialsRevoke, draft.Resource!, ("force", force ? "true" : "false")));
    }

    /// <summary>Some credential has to administer the service for a while yet, or as long as one would have without the change.</summary>
    private static void RefuseLockout(Snapshot basis, Credential changed, DateTimeOffset now)
    {
        DateTimeOffset AdministeredUntil(IEnumerable<Credential> all) => all
            .Where(c => c.Roles.Contains(Role.Admin) && c.IsLive(now))
            .Select(c => c.ExpiresAt ?? DateTimeOffset.MaxValue).DefaultIfEmpty(now).Max();

        var before = AdministeredUntil(basis.Credentials.Values);
        var after = AdministeredUntil(basis.Credentials.Values.Select(c => string.Equals(c.Id, changed.Id, StringComparison.Ordinal) ? changed : c));
        if (after < before && after < now + AdministrationLeft)
        {
            throw new SigningException(
                SigningFault.LocksOut,
                after == now
                    ? "It is the last credential that administers this service: make another one first."
                    : $"No credential would administer this service after {after:u}: make another one first, or ask with force if that is meant.");
        }
    }

    /// <summary>The platform quietly drops bits behind the prefix; whoever writes 10.1.2.3/8 means something else than 10.0.0.0/8.</summary>
    private static bool IsNetwork(string text) =>
        IPNetwork.TryParse(text, out var network)
        && IPAddress.TryParse(text.AsSpan(0, text.IndexOf('/', StringComparison.Ordinal)), out var written)
        && network.BaseAddress.Equals(written);

    private static void RequireExpiry(DateTimeOffset? expiresAt, DateTimeOffset now)
    {
        if (expiresAt <= now || expiresAt > now + MaxLifetime)
            throw new SigningException(SigningFault.InvalidRequest, $"expiresAt lies within the next {MaxLifetime.Days} days.");
    }

    /// <summary>Writes once a second at the most: a busy credential costs a look. Bounded by the credentials that there are.</summary>
    private void NoteUse(string id, long second)
    {
        if (!_lastUses.TryGetValue(id, out var last) || last != second)
            _lastUses[id] = second;
    }
}
