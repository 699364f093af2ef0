using System.Globalization;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Keys;

/// <summary>Versions that follow one another: announced, taking over, retired, revoked, removed, destroyed.</summary>
public sealed class KeyRotation(KeyEdits edits, LiveSnapshot live, BackendSet backends, TimeProvider time)
{
    /// <summary>So long a revocation waits for the backend to make a successor: every node has to stop within 5 seconds.</summary>
    private static readonly TimeSpan SuccessorPatience = TimeSpan.FromSeconds(3);

    /// <summary>
    /// Announces a successor that takes over as soon as its lead is over, or hastens the one that is announced. While it
    /// waits, whoever asks gets the same one; where its lead is over, or it has none, it signs at once, and who asks after
    /// that gets another. Of those who name the same <see cref="KeyTag"/> exactly one makes a successor.
    /// </summary>
    /// <param name="onlyIf">The <see cref="KeyTag"/> that the key must have; null: any.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.KeyNotUsable"/>: the key is not enabled; <see cref="SigningFault.PreconditionFailed"/>.</exception>
    public Task<Key> RotateAsync(Caller caller, string reference, CancellationToken cancellationToken, string? onlyIf = null) =>
        AnnounceAsync(caller, reference, "rotated on demand", takesOverEarly: true, cancellationToken, onlyIf);

    /// <summary>Announces the successor that the schedule asks for, also while the key is disabled: enabled again, it must be able to sign.</summary>
    public Task<Key> AnnounceAsync(Key key, CancellationToken cancellationToken) =>
        AnnounceAsync(Caller.Service, key.Id, "successor announced", takesOverEarly: false, cancellationToken);

    /// <summary>Every live node serves the version: its lead runs from now.</summary>
    public Task<Key> ConfirmServedAsync(Key key, int number, CancellationToken cancellationToken) => StepAsync(
        key, number, "served by every node", VersionState.Announced,
        (current, version) =>
        {
            var now = time.GetUtcNow();
            return current.With(SigningPeriod.From(now + SigningPeriod.NextLeadOf(current), current, version with { ServedAt = now }));
        },
        cancellationToken);

    /// <summary>
    /// The clock was set by <paramref name="jump"/>, which is no time in which verifiers could have learned of the version. It
    /// is moved once from where <paramref name="key"/> has it, however often that is tried.
    /// </summary>
    public Task<Key> MoveLeadAsync(Key key, int number, TimeSpan jump, CancellationToken cancellationToken) => StepAsync(
        key, number, $"waits on: the clock was set by {jump}", VersionState.Announced,
        (current, version) => version.ServedAt is { } served && served == key.Version(number)?.ServedAt
            ? current.With(SigningPeriod.From(version.SignsFrom + jump, current, version with { ServedAt = served + jump }))
            : current,
        cancellationToken);

    /// <summary>
    /// The version signs, for a whole period from now on however long it waited; all that signed before it retire in the
    /// same change, so that there is never none and never a doubt.
    /// </summary>
    public Task<Key> ActivateAsync(Key key, int number, CancellationToken cancellationToken) => StepAsync(
        key, number, "activated", VersionState.Announced,
        (current, version) => version.SignsFrom <= time.GetUtcNow() || SigningPeriod.IsCutOff(current)
            ? RetireOthers(current, number).With(
                SigningPeriod.From(time.GetUtcNow(), current, version with { State = VersionState.Active }))
            : current,
        cancellationToken);

    public Task<Key> RetireAsync(Key key, int number, CancellationToken cancellationToken) => StepAsync(
        key, number, "retired at its hard stop", VersionState.Active,
        (current, version) => current.With(version with { State = VersionState.Retired, RetiredAt = time.GetUtcNow() }),
        cancellationToken);

    public Task<Key> RemoveAsync(Key key, int number, CancellationToken cancellationToken) => StepAsync(
        key, number, "removed: its last token has expired", VersionState.Retired,
        (current, version) => current.With(version with { State = version.Handle is null ? VersionState.Destroyed : VersionState.Removed }),
        cancellationToken);

    /// <summary>Ends the private key. The version keeps its state and its public key, so that what it signed can be told from forgeries.</summary>
    public async Task<Key> DestroyAsync(Key key, int number, CancellationToken cancellationToken)
    {
        var version = key.Versions[number - 1];
        await DestroyMaterialAsync(key, version, cancellationToken);
        return await edits.ApplyAsync(
            Caller.Service, Actions.KeysRetire, key.Id, $"private key of version {number} destroyed",
            current =>
            {
                var now = current.Versions[number - 1];
                var state = now.State == VersionState.Removed ? VersionState.Destroyed : now.State;
                return ValueTask.FromResult(now.Handle is null ? current : current.With(now with { Handle = null, State = state }));
            },
            cancellationToken);
    }

    /// <summary>The waiting time is over: every private key is ended and the name is free.</summary>
    public async Task<Key> DeleteAsync(Key key, CancellationToken cancellationToken)
    {
        // Cancelling is refused since a while before this is due: nobody can take the key back from here on.
        foreach (var version in key.Versions)
            await DestroyMaterialAsync(key, version, cancellationToken);
        return await edits.ApplyAsync(
            Caller.Service, Actions.KeysDelete, key.Id, "deleted",
            current => current.State != KeyState.PendingDeletion
                ? throw new SigningException(SigningFault.KeyNotUsable, "Its deletion was cancelled.")
                : ValueTask.FromResult(current with
                {
                    State = KeyState.Deleted,
                    Versions = [.. current.Versions.Select(v => v with { State = VersionState.Destroyed, Handle = null })],
                }),
            cancellationToken);
    }

    /// <summary>
    /// Stops a version for good, on every node within seconds; it verifies nothing and leaves the key set at once. If it
    /// was the one that signs, the announced successor takes over without waiting; where there is none, one is made, and
    /// verifiers know it only when they refresh. Where none can be made either, the version is revoked all the same, and
    /// the schedule makes a successor as soon as the backend is back, which signs as soon as every node serves it. A key
    /// whose material is imported does not sign until the next import.
    /// </summary>
    /// <exception cref="SigningException">
    /// <see cref="SigningFault.NotFound"/>: no such version. <see cref="SigningFault.Conflict"/>: it is revoked already, for a reason that this one does not outweigh.
    /// </exception>
    public Task<Key> RevokeAsync(
        Caller caller, string reference, int number, RevocationReason reason, CancellationToken cancellationToken, string? onlyIf = null) =>
        ApplyAsync(
            caller, Actions.KeysRevoke, reference, $"version {number} revoked: {reason}",
            async (current, pair) =>
            {
                var version = Existing(current, number);
                if (version.State == VersionState.Revoked)
                    return Regraded(current, version, reason);
                var revoked = current.With(version with
                {
                    State = VersionState.Revoked,
                    RevokedAt = time.GetUtcNow(),
                    RevocationReason = reason,
                    RevokedUnused = version.State == VersionState.Announced,
                });
                if (current.State == KeyState.PendingDeletion)
                    return revoked;
                if (version.State == VersionState.Active)
                    return await SucceedAsync(revoked, pair, TimeSpan.Zero);
                // A key set without the key would make verifiers forget it; a version that is not needed yet waits its lead.
                return revoked.Versions.Any(v => v.IsPublished)
                    ? revoked
                    : await SucceedAsync(revoked, pair, SigningPeriod.NextLeadOf(revoked));
            },
            cancellationToken,
            key => ApprovalSubject.OfKey(Actions.KeysRevoke, key, ("version", number.ToString(CultureInfo.InvariantCulture)), ("reason", reason.ToString())),
            onlyIf);

    /// <summary>What was given up in peace may turn out to be compromised; nothing is made less grave than it was said to be.</summary>
    private static Key Regraded(Key key, KeyVersion version, RevocationReason reason) =>
        version.RevocationReason == reason ? key
        : reason == RevocationReason.Compromised ? key.With(version with { RevocationReason = reason })
        : throw new SigningException(
            SigningFault.Conflict, $"Version {version.Number} of {key.Name} is revoked already, as {version.RevocationReason.ToString()!.ToLowerInvariant()}: only compromised may follow.");

    /// <summary>Wraps the private keys of all versions anew, under the newest material of the wrapping key. What signs does not change.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.Unsupported"/>: the private keys are not kept wrapped, but in the backend.</exception>
    public Task<Key> RewrapAsync(Caller caller, string reference, CancellationToken cancellationToken, string? onlyIf = null) =>
        edits.ApplyAsync(
            caller, Actions.KeysRewrap, reference, "private keys wrapped anew",
            async current =>
            {
                if (backends.For(current) is not IRewrapsKeys backend)
                    throw new SigningException(SigningFault.Unsupported, $"The private keys of {current.Name} are not kept wrapped, but in the backend {current.Backend}.");
                foreach (var version in current.Versions.Where(v => v.Handle is not null))
                    current = current.With(version with { Handle = await backend.RewrapAsync(version, cancellationToken) });
                return current;
            },
            cancellationToken,
            onlyIf: onlyIf);

    /// <summary>Whatever the backend says, and whether or not somebody waits, what is revoked does not sign on for it.</summary>
    private async Task<Key> SucceedAsync(Key key, SuccessorPair pair, TimeSpan lead)
    {
        var next = key.Versions.FirstOrDefault(v => v.State == VersionState.Announced);
        if (next is null && key.Origin != KeyOrigin.Generated)
            return key;
        if (next is null)
        {
            using var patience = new CancellationTokenSource(SuccessorPatience, time);
            try
            {
                next = await pair.MakeAsync(key, patience.Token);
                key = key with { Versions = key.Versions.Add(next) };
            }
            catch (Exception e) when (e is SigningException or OperationCanceledException)
            {
                return key;
            }
        }

        var now = time.GetUtcNow();
        return key.With(SigningPeriod.From(now + lead, key, lead > TimeSpan.Zero
            ? next
            : next with { State = VersionState.Active, ServedAt = next.ServedAt ?? now }));
    }

    private Task<Key> AnnounceAsync(
        Caller caller, string reference, string detail, bool takesOverEarly, CancellationToken cancellationToken, string? onlyIf = null)
    {
        var signedWhenAsked = live.Current.Keys.TryGet(reference, out var asked) ? NumberOfActive(asked) : 0;
        return ApplyAsync(
            caller, Actions.KeysRotate, reference, detail,
            async (current, pair) =>
            {
                if (current.State == KeyState.PendingDeletion || (takesOverEarly && current.State != KeyState.Enabled))
                    throw new SigningException(SigningFault.KeyNotUsable, $"{current.Name} is not enabled.");
                // It took over for somebody who asked at the same time: the one that is announced by now is the next one's.
                if (NumberOfActive(current) > signedWhenAsked)
                    return current;
                if (current.Versions.FirstOrDefault(v => v.State == VersionState.Announced) is { } waiting)
                    return waiting.TakesOverEarly || !takesOverEarly ? current : Counted(current.With(Hastened(current, waiting)));
                if (current.Origin != KeyOrigin.Generated)
                    throw new SigningException(SigningFault.KeyNotUsable, $"The material of {current.Name} is imported: import its next version.");
                var next = await pair.MakeAsync(current, cancellationToken) with { TakesOverEarly = takesOverEarly };
                next = SigningPeriod.From(time.GetUtcNow() + SigningPeriod.NextLeadOf(current), current, next);
                var rotated = current with { Versions = current.Versions.Add(next) };
                return takesOverEarly ? Counted(rotated) : rotated;
            },
            cancellationToken,
            key => ApprovalSubject.OfKey(Actions.KeysRotate, key),
            onlyIf);
    }

    private static int NumberOfActive(Key key) => key.Versions.LastOrDefault(v => v.State == VersionState.Active)?.Number ?? 0;

    /// <summary>It takes over when its lead is over: now, where it has been for long.</summary>
    private KeyVersion Hastened(Key key, KeyVersion waiting)
    {
        var now = time.GetUtcNow();
        return SigningPeriod.From(waiting.SignsFrom > now ? waiting.SignsFrom : now, key, waiting with { TakesOverEarly = true });
    }

    private static Key Counted(Key key) => key with { RotationsOnDemand = key.RotationsOnDemand + 1 };

    /// <summary>An edit that may need a new key pair; a pair that came to nothing is ended.</summary>
    private async Task<Key> ApplyAsync(
        Caller caller, string action, string reference, string detail, Func<Key, SuccessorPair, ValueTask<Key>> edit,
        CancellationToken cancellationToken, Func<Key, ApprovalSubject>? subject = null, string? onlyIf = null)
    {
        var pair = new SuccessorPair(backends, time);
        Key key;
        try
        {
            key = await edits.ApplyAsync(caller, action, reference, detail, current => edit(current, pair), cancellationToken, subject, onlyIf);
        }
        // Where the audit does not answer, the change may be durable and the pair in use.
        catch (SigningException e) when (e.Fault is not SigningFault.AuditUnavailable)
        {
            await pair.EndAsync(cancellationToken);
            throw;
        }

        await pair.EndUnlessTakenAsync(key, cancellationToken);
        return key;
    }

    /// <summary>A step that the schedule found due; where it was done meanwhile, nothing happens.</summary>
    private Task<Key> StepAsync(
        Key key, int number, string detail, VersionState from, Func<Key, KeyVersion, Key> step, CancellationToken cancellationToken) =>
        edits.ApplyAsync(
            Caller.Service, Actions.KeysRotate, key.Id, $"version {number} {detail}",
            current =>
            {
                var version = Existing(current, number);
                return ValueTask.FromResult(version.State == from ? step(current, version) : current);
            },
            cancellationToken);

    private Key RetireOthers(Key key, int number) => key with
    {
        Versions =
        [
            .. key.Versions.Select(v => v.State == VersionState.Active && v.Number != number
                ? v with { State = VersionState.Retired, RetiredAt = time.GetUtcNow() }
                : v),
        ],
    };

    private static KeyVersion Existing(Key key, int number) =>
        key.Version(number) ?? throw new SigningException(SigningFault.NotFound, "There is no such version of this key.");

    private async Task DestroyMaterialAsync(Key key, KeyVersion version, CancellationToken cancellationToken)
    {
        if (version.Handle is not null && backends.For(key) is IDestroysKeys backend)
            await backend.DestroyAsync(version, cancellationToken);
    }
}
