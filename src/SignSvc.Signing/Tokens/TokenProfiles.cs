using System.Collections.Immutable;
using System.Text.Json;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Tokens;

/// <summary>Token profiles: put, deleted, listed, read.</summary>
public sealed class TokenProfiles(LiveSnapshot live, Decisions decisions, IStore store, TimeProvider time)
{
    /// <summary>Makes a profile or changes it.</summary>
    /// <param name="key">Id or name of a tokens key.</param>
    /// <param name="draft">The profile, with any key id: it is settled here.</param>
    /// <param name="force">Also where verifiers may not know the key yet.</param>
    /// <exception cref="SigningException">
    /// <see cref="SigningFault.InvalidRequest"/>: no tokens key, or one that may not sign for this profile.
    /// <see cref="SigningFault.KeyNotUsable"/>: a key that is pending deletion, or that the issuer's key set does not show
    /// for long enough; see <see cref="KeyAnnouncement"/>. <see cref="SigningFault.Conflict"/>.
    /// </exception>
    public Task<TokenProfile> PutAsync(Caller caller, string key, TokenProfile draft, CancellationToken cancellationToken, bool force = false)
    {
        var record = decisions.Draft(caller, Actions.ProfilesPut, Decisions.Resource("profile", draft.Name));
        var target = live.Current.Keys.TryGet(key, out var named) ? named.Id : key;
        return decisions.ChangeAsync(caller, record, async permit =>
        {
            var basis = live.Current;
            if (!basis.Keys.TryGet(target, out var signing) || signing.Purpose != KeyPurpose.Tokens)
                throw new SigningException(SigningFault.InvalidRequest, "key names no key with the purpose tokens.");
            if (signing.State == KeyState.PendingDeletion)
                throw new SigningException(SigningFault.KeyNotUsable, $"{signing.Name} is pending deletion: cancel that first.");
            var now = time.GetUtcNow();
            var before = basis.Profiles.GetValueOrDefault(draft.Name);
            var profile = draft with { KeyId = signing.Id, Former = await FormerOfAsync(basis, before, signing.Id, draft.Issuer, now, cancellationToken) };
            profile.Check();
            RefuseMixedKeys(basis, profile, signing);
            if (!force)
                KeyAnnouncement.RefuseUnannounced(basis, before, profile, signing, now);
            profile = profile with
            {
                KeySince = before is not null && KeyAnnouncement.IsSame(before, profile) ? before.KeySince : KeyAnnouncement.Since(basis, signing, profile.HostedIssuer) ?? now,
            };
            await live.ChangeAsync(
                permit, record with { KeyId = signing.Id, KeyName = signing.Name, Detail = force ? "forced" : null }, cancellationToken,
                [Change.Of(profile, basis), .. MarksOfPayloads(basis, before, signing.Id)]);
            return profile;
        }, subject: () => SubjectOf(draft, target, force));
    }

    private static ApprovalSubject SubjectOf(TokenProfile draft, string keyId, bool force)
    {
        var text = JsonSerializer.Serialize(draft with { KeyId = keyId, Former = [] }, SigningJson.Default.TokenProfile);
        return ApprovalSubject.Of(Actions.ProfilesPut, Decisions.Resource("profile", draft.Name), ("profile", text), ("force", force ? "true" : "false"));
    }

    /// <summary>
    /// Deletes a profile whose tokens have all expired, or of whose key and issuer another profile is left: without one an
    /// issuer's key set would lose the key. While tokens may be alive that are introspected, nothing stands in for the profile
    /// itself; with its tokens inactive (<see cref="TokenProfile.Introspection"/> off) it can go.
    /// </summary>
    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>; <see cref="SigningFault.StillInUse"/>, with the evidence; <see cref="SigningFault.Conflict"/>.</exception>
    public Task DeleteAsync(Caller caller, string name, CancellationToken cancellationToken)
    {
        var record = decisions.Draft(caller, Actions.ProfilesDelete, Decisions.Resource("profile", name));
        return decisions.ChangeAsync(caller, record, async permit =>
        {
            var basis = live.Current;
            if (!basis.Profiles.TryGetValue(name, out var profile))
                throw new SigningException(SigningFault.NotFound, "There is no such token profile.");
            await RefuseWhileInUseAsync(basis, profile, cancellationToken);
            _ = basis.Keys.TryGet(profile.KeyId, out var key);
            await live.ChangeAsync(
                permit, record with { KeyId = key?.Id, KeyName = key?.Name, Detail = "deleted" }, cancellationToken,
                [Change.Remove(profile, basis), .. MarksOfPayloads(basis, profile, staying: null)]);
            return true;
        }, subject: () => ApprovalSubject.Of(Actions.ProfilesDelete, Decisions.Resource("profile", name)));
    }

    private async Task RefuseWhileInUseAsync(Snapshot basis, TokenProfile profile, CancellationToken cancellationToken)
    {
        if (profile.Payloads)
            return;
        var usage = await store.ReadUsageAsync(cancellationToken);
        foreach (var (keyId, issuer) in profile.Former.Select(f => (f.KeyId, f.Issuer)).Append((profile.KeyId, profile.Issuer)))
        {
            var alive = LongestLived(basis, keyId, usage);
            if (alive?.LatestExpiry is not { } last)
                continue;
            var until = VersionTimeline.TokensEndedAt(last);
            var isLeft = IsLeft(basis, profile, keyId, issuer, until);
            if (until <= time.GetUtcNow() || (isLeft && !profile.Introspection))
                continue;
            var way = isLeft ? " Put it without introspection first, if they shall be inactive." : "";
            throw new SigningException(
                SigningFault.StillInUse,
                $"{profile.Name} cannot be deleted: tokens of {alive.Kid} are alive until {until:u}, for verifiers whose clocks are late too.{way}");
        }
    }

    /// <summary>Of the key's versions the one whose last token lives longest.</summary>
    private static VersionUsage? LongestLived(Snapshot basis, string keyId, IReadOnlyList<VersionUsage> usage)
    {
        var kids = basis.Keys.TryGet(keyId, out var key) ? key.Versions.Select(v => v.Kid).ToArray() : [];
        return usage.Where(u => u.LatestExpiry is not null && kids.Contains(u.Kid, StringComparer.Ordinal)).MaxBy(u => u.LatestExpiry);
    }

    /// <summary>Another profile stands for the same key and issuer, now or for as long as it takes.</summary>
    private static bool IsLeft(Snapshot basis, TokenProfile deleted, string keyId, string? issuer, DateTimeOffset until) => basis.Profiles.Values.Any(p =>
        !string.Equals(p.Name, deleted.Name, StringComparison.Ordinal)
        && p.Former.Where(f => f.Until >= until).Select(f => (f.KeyId, f.Issuer)).Append((p.KeyId, p.Issuer))
            .Any(s => string.Equals(s.KeyId, keyId, StringComparison.Ordinal) && string.Equals(s.Issuer, issuer, StringComparison.Ordinal)));

    /// <summary>Tokens that the old key signed, or that name the old issuer, are alive for a while: invariant 3 holds for them too.</summary>
    private async Task<ImmutableArray<FormerSigning>> FormerOfAsync(
        Snapshot basis, TokenProfile? old, string keyId, string? issuer, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (old is null)
            return [];
        var alive = old.Former.Where(f => f.Until > now);
        if (string.Equals(old.KeyId, keyId, StringComparison.Ordinal) && string.Equals(old.Issuer, issuer, StringComparison.Ordinal))
            return [.. alive];
        // Those on their way, and those of a time when the profile let tokens live longer.
        var until = VersionTimeline.TokensEndedAt(now + TimeSpan.FromSeconds(old.MaxLifetimeSeconds));
        if (LongestLived(basis, old.KeyId, await store.ReadUsageAsync(cancellationToken))?.LatestExpiry is { } last && VersionTimeline.TokensEndedAt(last) > until)
            until = VersionTimeline.TokensEndedAt(last);
        return [.. alive, new FormerSigning(old.KeyId, until, old.Issuer)];
    }

    /// <summary>That they signed payloads stands with the keys themselves, from when no profile says it for good.</summary>
    /// <param name="staying">The key that the profile goes on with; null: it is deleted.</param>
    private static IEnumerable<Change> MarksOfPayloads(Snapshot basis, TokenProfile? before, string? staying)
    {
        if (before is not { Payloads: true })
            yield break;
        foreach (var id in before.Former.Select(f => f.KeyId).Append(before.KeyId).Distinct(StringComparer.Ordinal))
        {
            if (!string.Equals(id, staying, StringComparison.Ordinal) && basis.Keys.TryGet(id, out var key) && key is { SignedPayloads: false, State: not KeyState.Deleted })
                yield return Change.Of(key with { SignedPayloads = true }, basis);
        }
    }

    /// <summary>A key that signs payloads signs nothing else, and a profile stays of its kind: else a payload could pass for a token.</summary>
    private static void RefuseMixedKeys(Snapshot basis, TokenProfile profile, Key key)
    {
        if (key.SignedPayloads && !profile.Payloads)
            throw new SigningException(SigningFault.InvalidRequest, $"{key.Name} signed payloads for a profile that is deleted: use another key for tokens.");
        var others = basis.Profiles.Values.Where(p =>
            string.Equals(p.Name, profile.Name, StringComparison.Ordinal)
            || string.Equals(p.KeyId, key.Id, StringComparison.Ordinal)
            || p.Former.Any(f => string.Equals(f.KeyId, key.Id, StringComparison.Ordinal)));
        if (others.FirstOrDefault(p => p.Payloads != profile.Payloads) is { } other)
        {
            throw new SigningException(
                SigningFault.InvalidRequest,
                $"The profile {other.Name} signs {(other.Payloads ? "payloads" : "tokens")}: use a key and a profile of their own for {(profile.Payloads ? "payloads" : "tokens")}.");
        }
    }

    public Task<ImmutableArray<TokenProfile>> ListAsync(Caller caller, CancellationToken cancellationToken) =>
        decisions.ReadAsync(
            caller,
            decisions.Draft(caller, Actions.ProfilesRead),
            _ => ValueTask.FromResult(live.Current.Profiles.Values.ToImmutableArray()),
            cancellationToken);

    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>, <see cref="SigningFault.Forbidden"/>.</exception>
    public Task<TokenProfile> ReadAsync(Caller caller, string name, CancellationToken cancellationToken) =>
        decisions.ReadAsync(
            caller,
            decisions.Draft(caller, Actions.ProfilesRead, Decisions.Resource("profile", name)),
            _ => live.Current.Profiles.TryGetValue(name, out var profile)
                ? ValueTask.FromResult(profile)
                : throw new SigningException(SigningFault.NotFound, "There is no such token profile."),
            cancellationToken);
}
