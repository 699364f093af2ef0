using SignSvc.Signing.Access;
using SignSvc.Signing.Backends;

namespace SignSvc.Signing.Keys;

/// <summary>Versions that follow one another: announced, taking over, retired, revoked, removed, destroyed.</summary>
public sealed class KeyRotation(KeyEdits edits, BackendSet backends, TimeProvider time)
{
    /// <summary>
    /// Announces a successor that takes over as soon as its lead is over. However many ask at once, there is one
    /// successor: the others get the one that was made.
    /// </summary>
    /// <exception cref="SigningException"><see cref="SigningFault.KeyNotUsable"/>: the key is not enabled.</exception>
    public Task<Key> RotateAsync(Caller caller, string reference, CancellationToken cancellationToken) =>
        AnnounceAsync(caller, reference, "rotated on demand", takesOverEarly: true, cancellationToken);

    /// <summary>Announces the successor that the schedule asks for.</summary>
    public Task<Key> AnnounceAsync(Key key, CancellationToken cancellationToken) =>
        AnnounceAsync(Caller.Service, key.Id, "successor announced", takesOverEarly: false, cancellationToken);

    /// <summary>Every live node serves the version: its lead runs from now.</summary>
    public Task<Key> ConfirmServedAsync(Key key, int number, CancellationToken cancellationToken) => StepAsync(
        key, number, "served by every node", VersionState.Announced,
        (current, version) =>
        {
            var now = time.GetUtcNow();
            return current.With(Timed(current, version with { ServedAt = now }, now + LeadOf(current)));
        },
        cancellationToken);

    /// <summary>The version signs; all that signed before it retire in the same change, so that there is never none and never a doubt.</summary>
    public Task<Key> ActivateAsync(Key key, int number, CancellationToken cancellationToken) => StepAsync(
        key, number, "activated", VersionState.Announced,
        (current, version) => RetireOthers(current, number).With(version with { State = VersionState.Active }),
        cancellationToken);

    public Task<Key> RetireAsync(Key key, int number, CancellationToken cancellationToken) => StepAsync(
        key, number, "retired at its hard stop", VersionState.Active,
        (current, version) => current.With(version with { State = VersionState.Retired, RetiredAt = time.GetUtcNow() }),
        cancellationToken);

    public Task<Key> RemoveAsync(Key key, int number, CancellationToken cancellationToken) => StepAsync(
        key, number, "removed: its last token has expired", VersionState.Retired,
        (current, version) => current.With(version with { State = VersionState.Removed }),
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
    /// verifiers know it only when they refresh.
    /// </summary>
    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>: no such version.</exception>
    public async Task<Key> RevokeAsync(
        Caller caller, string reference, int number, RevocationReason reason, CancellationToken cancellationToken)
    {
        Successor? made = null;
        var key = await edits.ApplyAsync(
            caller, Actions.KeysRevoke, reference, $"version {number} revoked: {reason}",
            async current =>
            {
                var version = Existing(current, number);
                if (version.State == VersionState.Revoked)
                    return current;
                var now = time.GetUtcNow();
                var revoked = current.With(version with { State = VersionState.Revoked, RevokedAt = now, RevocationReason = reason });
                if (version.State != VersionState.Active || revoked.Versions.Any(v => v.State == VersionState.Active))
                    return revoked;
                var next = revoked.Versions.FirstOrDefault(v => v.State == VersionState.Announced);
                if (next is null)
                {
                    made = await MakeOnceAsync(made, revoked, cancellationToken);
                    next = made.At(revoked, time.GetUtcNow());
                    revoked = revoked with { Versions = revoked.Versions.Add(next) };
                }

                return revoked.With(Timed(revoked, next with { State = VersionState.Active, ServedAt = next.ServedAt ?? now }, now));
            },
            cancellationToken);
        await DestroyIfUnusedAsync(key, made, cancellationToken);
        return key;
    }

    /// <summary>The moments of a version that follow from when it begins to sign.</summary>
    internal static KeyVersion Timed(Key key, KeyVersion version, DateTimeOffset signsFrom)
    {
        var retiresAt = signsFrom + key.Rotation?.Period;
        return version with { SignsFrom = signsFrom, RetiresAt = retiresAt, SignsUntil = retiresAt + key.Rotation?.Grace };
    }

    /// <summary>How long the key's next version is published before it signs.</summary>
    public static TimeSpan LeadOf(Key key) => (key.Rotation ?? RotationPolicy.Parse(key.Purpose, null, null, null)).Lead;

    private async Task<Key> AnnounceAsync(
        Caller caller, string reference, string detail, bool takesOverEarly, CancellationToken cancellationToken)
    {
        Successor? made = null;
        var key = await edits.ApplyAsync(
            caller, Actions.KeysRotate, reference, detail,
            async current =>
            {
                if (current.State != KeyState.Enabled)
                    throw new SigningException(SigningFault.KeyNotUsable, $"{current.Name} is not enabled.");
                if (current.Versions.FirstOrDefault(v => v.State == VersionState.Announced) is { } waiting)
                    return waiting.TakesOverEarly || !takesOverEarly ? current : current.With(waiting with { TakesOverEarly = true });
                made = await MakeOnceAsync(made, current, cancellationToken);
                var now = time.GetUtcNow();
                var next = made.At(current, now + LeadOf(current)) with { TakesOverEarly = takesOverEarly };
                return current with { Versions = current.Versions.Add(next) };
            },
            cancellationToken);
        await DestroyIfUnusedAsync(key, made, cancellationToken);
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

    /// <summary>A pair for the next number; made again only if that number was taken by somebody faster.</summary>
    private async Task<Successor> MakeOnceAsync(Successor? made, Key key, CancellationToken cancellationToken)
    {
        var number = key.Versions.Length + 1;
        if (made?.Number == number)
            return made;
        var pair = await backends[key.Backend].CreateAsync(
            new KeyPairRequest(key.Id, number, key.Name, key.Spec, key.Purpose), cancellationToken);
        return new Successor(number, pair, time.GetUtcNow());
    }

    /// <summary>Whoever lost the race ends the pair it made for nothing.</summary>
    private async Task DestroyIfUnusedAsync(Key key, Successor? made, CancellationToken cancellationToken)
    {
        if (made is null || string.Equals(key.Version(made.Number)?.Handle, made.Pair.Handle, StringComparison.Ordinal))
            return;
        await DestroyMaterialAsync(key, made.At(key, made.MadeAt), cancellationToken);
    }

    private async Task DestroyMaterialAsync(Key key, KeyVersion version, CancellationToken cancellationToken)
    {
        if (version.Handle is not null && backends[key.Backend] is IDestroysKeys backend)
            await backend.DestroyAsync(version, cancellationToken);
    }

    /// <summary>A pair that was made for a version that may come to be.</summary>
    private sealed record Successor(int Number, BackendKeyPair Pair, DateTimeOffset MadeAt)
    {
        public KeyVersion At(Key key, DateTimeOffset signsFrom) => Timed(
            key,
            new KeyVersion
            {
                KeyId = key.Id,
                Number = Number,
                PublicKey = Pair.PublicKey,
                Handle = Pair.Handle,
                Protection = Pair.Protection,
                State = VersionState.Announced,
                CreatedAt = MadeAt,
                SignsFrom = signsFrom,
            },
            signsFrom);
    }
}
