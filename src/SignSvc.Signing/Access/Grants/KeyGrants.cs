using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Access.Grants;

/// <summary>A grant as it is asked for.</summary>
public sealed record NewGrant(
    string? Name, string Grantee, ImmutableArray<string> Operations, PolicyConditions? Constraints,
    DateTimeOffset? ExpiresAt, int? MaxUses);

/// <summary>Grants: given by who holds what they give, given back by the grantee, taken back by the key's side.</summary>
public sealed class KeyGrants(LiveSnapshot live, Decisions decisions, AuditLog audit, TimeProvider time)
{
    public const int MaxPerKey = 1000;
    public const int MaxUses = 1_000_000;

    /// <summary>Expired grants that one new one clears away.</summary>
    private const int MaxCleared = 50;

    private const int Attempts = 16;

    /// <summary>Asked twice under one name, for the same, it gives the same grant.</summary>
    /// <exception cref="SigningException">
    /// <see cref="SigningFault.Forbidden"/>: it gives what the caller does not hold; <see cref="SigningFault.NameTaken"/>: the
    /// name stands for another grant; <see cref="SigningFault.InvalidRequest"/>.
    /// </exception>
    public Task<Grant> CreateAsync(Caller caller, string reference, NewGrant request, CancellationToken cancellationToken)
    {
        var (key, draft) = DraftOf(caller, Actions.GrantsCreate, reference);
        return decisions.ChangeAsync(caller, draft, async permit =>
        {
            if (key is null)
                throw decisions.UnknownKey(caller);
            var now = time.GetUtcNow();
            var grant = Parse(request, key, caller, now);
            CompiledGrant.Compile(grant);
            foreach (var action in grant.Operations)
            {
                if (!live.Current.Access.Holds(caller, action, new ResourcePattern("key", key.Name), key, grant.Constraints.All, now))
                    throw new SigningException(SigningFault.Forbidden, $"You cannot give what you do not hold yourself: {action} on the key.");
            }

            return await PutAsync(permit, draft, grant, now, cancellationToken);
        }, subject: () => key is null ? null : SubjectOf(key, request));
    }

    /// <summary>The live ones, the oldest first.</summary>
    public Task<ImmutableArray<Grant>> ListAsync(Caller caller, string reference, CancellationToken cancellationToken)
    {
        var (key, draft) = DraftOf(caller, Actions.GrantsRead, reference);
        return decisions.ReadAsync(
            caller, draft,
            _ => key is null
                ? throw decisions.UnknownKey(caller)
                : ValueTask.FromResult(Of(live.Current, key.Id).Where(g => g.IsLiveAt(time.GetUtcNow())).ToImmutableArray()),
            cancellationToken);
    }

    /// <summary>Takes a grant back: from the moment this returns it allows nothing on this node, and within a second on none.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>.</exception>
    public Task RevokeAsync(Caller caller, string reference, string grantId, CancellationToken cancellationToken) =>
        EndAsync(caller, Actions.GrantsRevoke, reference, grantId, "revoked", cancellationToken);

    /// <summary>Gives a grant back. The grantee needs no policy for that.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>.</exception>
    public Task RetireAsync(Caller caller, string reference, string grantId, CancellationToken cancellationToken) =>
        EndAsync(caller, Actions.GrantsRetire, reference, grantId, "retired", cancellationToken);

    private Task<string> EndAsync(
        Caller caller, string action, string reference, string grantId, string how, CancellationToken cancellationToken)
    {
        var (key, draft) = DraftOf(caller, action, reference);
        var named = Find(live.Current, key, grantId);
        return decisions.ChangeAsync(
            caller, draft with { Detail = named is null ? null : $"grant {named.Id} {how}, {named.Uses} uses" },
            async permit =>
            {
                if (key is null)
                    throw decisions.UnknownKey(caller);
                for (var attempt = 1; ; attempt++)
                {
                    var basis = live.Current;
                    var grant = Find(basis, key, grantId) ?? throw new SigningException(SigningFault.NotFound, "There is no such grant.");
                    var record = draft with { Detail = $"grant {grant.Id} {how}, {grant.Uses} uses" };
                    try
                    {
                        return await live.ChangeAsync(permit, record, cancellationToken, grant.Remove(basis));
                    }
                    catch (SigningException e) when (e.Fault == SigningFault.Conflict && attempt < Attempts)
                    {
                        // It was being used.
                        await live.RefreshAsync(cancellationToken);
                    }
                }
            },
            new AccessFacts { Key = key, Grant = named },
            // Giving back needs nobody.
            () => key is null || action is Actions.GrantsRetire ? null : ApprovalSubject.OfKey(action, key, ("grant", grantId)));
    }

    private static ApprovalSubject SubjectOf(Key key, NewGrant request) => ApprovalSubject.OfKey(
        Actions.GrantsCreate, key,
        ("name", request.Name ?? ""),
        ("grantee", request.Grantee),
        ("operations", string.Join(' ', request.Operations.IsDefault ? [] : request.Operations)),
        ("constraints", JsonSerializer.Serialize(request.Constraints ?? PolicyConditions.None, SigningJson.Default.PolicyConditions)),
        ("expiresAt", ApprovalSubject.Text(request.ExpiresAt)),
        ("maxUses", request.MaxUses?.ToString(CultureInfo.InvariantCulture) ?? ""));

    private async ValueTask<Grant> PutAsync(
        Permit permit, AuditRecord draft, Grant grant, DateTimeOffset now, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var basis = live.Current;
            var ofKey = Of(basis, grant.KeyId).ToArray();
            var named = grant.Name is null ? null : ofKey.FirstOrDefault(g => string.Equals(g.Name, grant.Name, StringComparison.Ordinal));
            if (named is not null && named.IsLiveAt(now))
            {
                if (!named.GivesTheSameAs(grant))
                    throw new SigningException(SigningFault.NameTaken, $"The name {grant.Name} stands for another grant of this key.");
                await audit.AppendAsync(draft with { Detail = $"grant {named.Id}: it was so already" }, cancellationToken);
                return named;
            }

            if (ofKey.Count(g => g.IsLiveAt(now)) >= MaxPerKey)
                throw new SigningException(SigningFault.InvalidRequest, $"A key has at most {MaxPerKey} grants.");
            // An expired one of the same name has to go first, to leave its name.
            var expired = ofKey.Where(g => !g.IsLiveAt(now)).OrderBy(g => g == named ? 0 : 1).Take(MaxCleared);
            var record = draft with
            {
                Detail = $"grant {grant.Id}: {string.Join(", ", grant.Operations)} to {grant.Grantee}{(grant.MaxUses is null ? "" : $", {grant.MaxUses} uses")}",
                ExpiresAt = grant.ExpiresAt,
            };
            try
            {
                await live.ChangeAsync(permit, record, cancellationToken, [.. expired.Select(g => g.Remove(basis)), grant.Put(basis)]);
                return grant;
            }
            catch (SigningException e) when (e.Fault is SigningFault.Conflict or SigningFault.NameTaken && attempt < Attempts)
            {
                await live.RefreshAsync(cancellationToken);
            }
        }
    }

    private static Grant Parse(NewGrant request, Key key, Caller caller, DateTimeOffset now)
    {
        Require(
            request.Grantee.Length is > 0 and <= PolicyStatement.MaxTextLength && !request.Grantee.Any(char.IsControl) && request.Grantee.Any(c => c is not ('*' or '?' or ':')),
            "The grantee is a principal or a pattern of some, not of all.");
        Require(
            request.Operations is { IsDefaultOrEmpty: false } && request.Operations.All(o => Grant.Grantable.Contains(o, StringComparer.Ordinal)),
            $"operations are some of {string.Join(", ", Grant.Grantable)}.");
        Require(request.ExpiresAt is null || request.ExpiresAt > now, "expiresAt lies in the future.");
        Require(request.MaxUses is null or (>= 1 and <= MaxUses), $"maxUses is from 1 to {MaxUses}.");
        return new Grant
        {
            Id = Guid.CreateVersion7(now).ToString(),
            KeyId = key.Id,
            Name = request.Name is null ? null : KeyName.Parse(request.Name),
            Grantee = request.Grantee,
            Operations = [.. request.Operations.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)],
            Constraints = request.Constraints ?? PolicyConditions.None,
            CreatedAt = now,
            CreatedBy = caller.Principal,
            ExpiresAt = request.ExpiresAt,
            MaxUses = request.MaxUses,
        };
    }

    private static IEnumerable<Grant> Of(Snapshot snapshot, string keyId) => snapshot.Access.GrantsOf(keyId).OrderBy(g => g.Id, StringComparer.Ordinal);

    private static Grant? Find(Snapshot snapshot, Key? key, string grantId) =>
        key is not null && snapshot.Grants.TryGetValue(grantId, out var grant) && string.Equals(grant.KeyId, key.Id, StringComparison.Ordinal) ? grant : null;

    private (Key? Key, AuditRecord Draft) DraftOf(Caller caller, string action, string reference)
    {
        var known = live.Current.Keys.TryGet(reference, out var key) && key.State != KeyState.Deleted;
        return (known ? key : null, decisions.Draft(caller, action, known ? null : Decisions.Resource("key", reference)) with
        {
            KeyId = known ? key!.Id : null,
            KeyName = known ? key!.Name : null,
        });
    }

    private static void Require(bool holds, string message)
    {
        if (!holds)
            throw new SigningException(SigningFault.InvalidRequest, message);
    }
}
