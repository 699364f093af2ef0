using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Keys;

/// <summary>What may be changed of a key at any time; null leaves it as it is.</summary>
public sealed record KeyUpdate(
    string? Description = null,
    string? Owner = null,
    ImmutableSortedDictionary<string, string>? Tags = null,
    RotationPolicy? Rotation = null,
    bool? DeletionProtection = null,
    int? MinSigningVersion = null,
    int? MinVerificationVersion = null);

/// <summary>Changes of a key as a whole, with AWS KMS's rules: what is pending deletion can only be cancelled, and comes back disabled.</summary>
/// <remarks><c>onlyIf</c> is the <see cref="KeyTag"/> that the key must have, else <see cref="SigningFault.PreconditionFailed"/>; null: any.</remarks>
public sealed class KeyChanges(KeyEdits edits, LiveSnapshot live, IStore store, BackendSet backends, TimeProvider time)
{
    public const int MinDeletionDays = 7;
    public const int MaxDeletionDays = 30;

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: a floor above the version that signs; <see cref="SigningFault.Forbidden"/>: its tags or owner would give what the caller does not hold; <see cref="SigningFault.KeyNotUsable"/>: pending deletion; and as <see cref="KeyEdits.ApplyAsync"/>.</exception>
    public Task<Key> UpdateAsync(
        Caller caller, string reference, Func<Key, KeyUpdate> update, CancellationToken cancellationToken, string? onlyIf = null) =>
        edits.ApplyAsync(
            caller, Actions.KeysUpdate, reference, "updated",
            key =>
            {
                var updated = Updated(key, update(key));
                live.Current.Access.RefuseRetagging(caller, key, updated, time.GetUtcNow());
                return ValueTask.FromResult(updated);
            },
            cancellationToken,
            key => ApprovalSubject.OfKey(Actions.KeysUpdate, key, ("update", JsonSerializer.Serialize(update(key), SigningJson.Default.KeyUpdate))),
            onlyIf);

    /// <exception cref="SigningException"><see cref="SigningFault.KeyNotUsable"/>: pending deletion.</exception>
    public Task<Key> EnableAsync(Caller caller, string reference, CancellationToken cancellationToken, string? onlyIf = null) =>
        edits.ApplyAsync(caller, Actions.KeysEnable, reference, "enabled", key => Set(key, KeyState.Enabled), cancellationToken,
            key => ApprovalSubject.OfKey(Actions.KeysEnable, key), onlyIf);

    /// <exception cref="SigningException"><see cref="SigningFault.KeyNotUsable"/>: pending deletion.</exception>
    public Task<Key> DisableAsync(Caller caller, string reference, CancellationToken cancellationToken, string? onlyIf = null) =>
        edits.ApplyAsync(caller, Actions.KeysDisable, reference, "disabled", key => Set(key, KeyState.Disabled), cancellationToken,
            key => ApprovalSubject.OfKey(Actions.KeysDisable, key), onlyIf);

    /// <param name="days">7 to 30.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.StillInUse"/>, with the evidence: protection, live tokens, token profiles.</exception>
    public Task<Key> ScheduleDeletionAsync(Caller caller, string reference, int days, CancellationToken cancellationToken, string? onlyIf = null)
    {
        return edits.ApplyPermittedAsync(
            caller,
            Actions.KeysScheduleDeletion,
            reference,
            $"deletion in {days} days",
            async (key, permit) =>
            {
                if (days is < MinDeletionDays or > MaxDeletionDays)
                    throw new SigningException(SigningFault.InvalidRequest, $"A key is deleted after {MinDeletionDays} to {MaxDeletionDays} days.");
                if (key.State == KeyState.PendingDeletion)
                    throw new SigningException(SigningFault.KeyNotUsable, $"{key.Name} is pending deletion already, at {key.DeletesAt:u}.");
                await RefuseWhileInUseAsync(key, cancellationToken);
                return key with
                {
                    State = KeyState.PendingDeletion,
                    DeletesAt = time.GetUtcNow().AddDays(days),
                    DeletionApproved = permit.Approval is { BrokenGlass: null },
                    StateChangedAt = time.GetUtcNow(),
                };
            },
            cancellationToken,
            key => ApprovalSubject.OfKey(Actions.KeysScheduleDeletion, key, ("days", days.ToString(CultureInfo.InvariantCulture))),
            onlyIf);
    }

    /// <summary>The key comes back disabled.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.KeyNotUsable"/>: not pending deletion, or its time has come: its private keys may be gone.</exception>
    public Task<Key> CancelDeletionAsync(Caller caller, string reference, CancellationToken cancellationToken, string? onlyIf = null) =>
        edits.ApplyAsync(
            caller,
            Actions.KeysCancelDeletion,
            reference,
            "deletion cancelled",
            key => key.State == KeyState.PendingDeletion && time.GetUtcNow() < key.DeletesAt
                ? ValueTask.FromResult(key with { State = KeyState.Disabled, DeletesAt = null, DeletionApproved = false, StateChangedAt = time.GetUtcNow() })
                : throw new SigningException(
                    SigningFault.KeyNotUsable,
                    key.State == KeyState.PendingDeletion ? $"{key.Name} is being deleted." : $"{key.Name} is not pending deletion."),
            cancellationToken,
            key => ApprovalSubject.OfKey(Actions.KeysCancelDeletion, key),
            onlyIf);

    private ValueTask<Key> Set(Key key, KeyState state) =>
        key.State == KeyState.PendingDeletion
            ? throw new SigningException(SigningFault.KeyNotUsable, $"{key.Name} is pending deletion: cancel that first.")
            : ValueTask.FromResult(key.State == state ? key : key with { State = state, StateChangedAt = time.GetUtcNow() });

    private Key Updated(Key key, KeyUpdate update)
    {
        if (key.State == KeyState.PendingDeletion)
            throw new SigningException(SigningFault.KeyNotUsable, $"{key.Name} is pending deletion: cancel that first.");
        // A floor above the version that signs would stop the key, or make signatures that do not verify.
        var highest = key.Versions.LastOrDefault(v => v.State == VersionState.Active)?.Number ?? key.Versions.Length;
        if (update.MinSigningVersion < 1 || update.MinSigningVersion > highest
            || update.MinVerificationVersion < 1 || update.MinVerificationVersion > highest)
        {
            throw new SigningException(SigningFault.InvalidRequest, $"A floor is from 1 to the version that signs, {highest}.");
        }

        if (update.Tags is { } tags)
            backends.RefuseTags(key.Tier, key.Backend, tags.Count);
        var timed = update.Rotation is { } rotation ? SigningPeriod.Under(rotation, key, time.GetUtcNow()) : key;
        return timed with
        {
            Description = NewKey.CheckText("description", update.Description, NewKey.MaxDescriptionLength) ?? key.Description,
            Owner = NewKey.CheckText("owner", update.Owner) ?? key.Owner,
            Tags = update.Tags ?? key.Tags,
            DeletionProtection = update.DeletionProtection ?? key.DeletionProtection,
            MinSigningVersion = update.MinSigningVersion ?? key.MinSigningVersion,
            MinVerificationVersion = update.MinVerificationVersion ?? key.MinVerificationVersion,
        };
    }

    private async Task RefuseWhileInUseAsync(Key key, CancellationToken cancellationToken)
    {
        if (key.DeletionProtection)
            throw StillInUse(key, "it is protected from deletion");
        if (live.Current.Profiles.Values.FirstOrDefault(p => string.Equals(p.KeyId, key.Id, StringComparison.Ordinal)) is { } profile)
            throw StillInUse(key, $"the token profile {profile.Name} signs with it");
        if (live.Current.Approvals.Values.FirstOrDefault(a => IsOpen(a, key)) is { } open)
            throw StillInUse(key, $"the approval {open.Id} of {open.Subject.Action} is open until {open.ExpiresAt:u}");
        var usage = await store.ReadUsageAsync(cancellationToken);
        var alive = usage
            .Where(u => key.Versions.Any(v => string.Equals(v.Kid, u.Kid, StringComparison.Ordinal)))
            .Where(u => u.LatestExpiry is { } expiry && VersionTimeline.TokensEndedAt(expiry) > time.GetUtcNow())
            .MaxBy(u => u.LatestExpiry);
        if (alive?.LatestExpiry is { } last)
            throw StillInUse(key, $"tokens of {alive.Kid} are alive until {VersionTimeline.TokensEndedAt(last):u}, for verifiers whose clocks are late too");
    }

    /// <summary>Somebody else's wish about the key is not decided; that it be deleted is what is asked here.</summary>
    private bool IsOpen(Approval approval, Key key) =>
        string.Equals(approval.Subject.Resource, $"key/{key.Id}", StringComparison.Ordinal)
        && approval.Subject.Action is not (Actions.KeysScheduleDeletion or Actions.KeysCancelDeletion)
        && ApprovalStanding.Of(approval, live.Current, time.GetUtcNow()).State is (ApprovalState.Pending or ApprovalState.Approved);

    private static SigningException StillInUse(Key key, string evidence) =>
        new(SigningFault.StillInUse, $"{key.Name} cannot be deleted: {evidence}.");
}
