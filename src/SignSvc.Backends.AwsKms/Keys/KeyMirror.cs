using Amazon.KeyManagementService;
using Amazon.KeyManagementService.Model;
using SignSvc.Backends.AwsKms.Calls;
using SignSvc.Signing;
using SignSvc.Signing.Keys;
using DomainState = SignSvc.Signing.Keys.KeyState;
using KmsState = Amazon.KeyManagementService.KeyState;

namespace SignSvc.Backends.AwsKms.Keys;

/// <summary>Brings KMS keys in line with the domain: state in each Region, replicas, tags and alias.</summary>
internal sealed class KeyMirror(AwsKmsOptions options, KmsCalls calls, KnownStates states, TimeProvider time)
{
    /// <summary>First where the keys live, so that a replica's Region that is down keeps no key there from being stopped or started.</summary>
    public async Task MirrorAsync(Key key, bool mayEnable, CancellationToken cancellationToken)
    {
        var versions = key.Versions
            .Select(v => (Version: v, Handle: KmsHandle.TryParse(v.Handle, out var handle) ? handle : null)).Where(v => v.Handle is not null).ToArray();
        foreach (var (version, handle) in versions)
            await MirrorAsync(key, version, handle!, handle!.Region, mayEnable, cancellationToken);

        SigningException? missed = null;
        var replicas = versions.SelectMany(v => RegionsOf(v.Handle!).Skip(1), (v, region) => (v.Version, v.Handle, Region: region));
        foreach (var there in replicas.GroupBy(r => r.Region, StringComparer.Ordinal))
        {
            try
            {
                foreach (var (version, handle, region) in there)
                    await MirrorAsync(key, version, handle!, region, mayEnable, cancellationToken);
            }
            catch (SigningException e)
            {
                missed ??= Elsewhere(e);
            }
        }

        if (options.AliasPrefix is not null && key.State == DomainState.Enabled
            && key.Versions.LastOrDefault(v => v.State == VersionState.Active) is { Handle: { } signing }
            && KmsHandle.TryParse(signing, out var target))
            await PointAliasAsync(key, target, cancellationToken);

        if (missed is not null)
            throw missed;
    }

    /// <summary>Never to sign again, in any Region. Replicas first: a primary waits for them.</summary>
    /// <param name="isOurs">Made by SignSvc. A key that was adopted is disabled only: whether it may go for good is its owner's to say.</param>
    /// <returns>Whether there is such a key in its own Region, as far as KMS knows.</returns>
    public async Task<bool> EndAsync(string arn, bool isMultiRegion, bool isOurs, CancellationToken cancellationToken)
    {
        var isKnown = true;
        var home = arn.Split(':')[3];
        string[] regions = isMultiRegion ? [.. options.ReplicaRegions.Prepend(options.Region).Where(r => !string.Equals(r, home, StringComparison.Ordinal)), home] : [home];
        foreach (var region in regions)
        {
            var there = string.Join(':', arn.Split(':').Select((part, i) => i == 3 ? region : part));
            try
            {
                // Disabled at once: a schedule alone leaves a moment in which it signs.
                await DoAsync(region, (kms, cancel) => kms.DisableKeyAsync(there, cancel), cancellationToken);
                if (isOurs)
                    await ScheduleAsync(there, region, options.DeletionWindowDays, cancellationToken);
            }
            catch (SigningException e) when (e.Is("NotFoundException", "KMSInvalidStateException"))
            {
                // Gone, or pending deletion already. A key that waits for its import cannot be disabled.
                if (e.Is("KMSInvalidStateException") && isOurs)
                    await ScheduleAsync(there, region, options.DeletionWindowDays, cancellationToken);
                isKnown &= !(e.Is("NotFoundException") && string.Equals(region, home, StringComparison.Ordinal));
            }
            catch (SigningException e) when (!string.Equals(region, home, StringComparison.Ordinal))
            {
                throw Elsewhere(e);
            }
        }

        return isKnown;
    }

    public IEnumerable<string> RegionsOf(KmsHandle handle) =>
        handle.IsMultiRegion
            ? options.ReplicaRegions.Prepend(options.Region).Where(r => !string.Equals(r, handle.Region, StringComparison.Ordinal)).Prepend(handle.Region)
            : [handle.Region];

    private async Task MirrorAsync(
        Key key, KeyVersion version, KmsHandle handle, string region, bool mayEnable, CancellationToken cancellationToken)
    {
        var isKept = key.State is DomainState.Enabled or DomainState.Disabled;
        if (await DescribeAsync(handle, region, isWanted: isKept, key, version, cancellationToken) is not { } found)
            return;
        var left = await SetStateAsync(handle.ArnIn(region), region, found, WishFor(key, version), version.IsPublished, mayEnable, cancellationToken);
        if (string.Equals(region, handle.Region, StringComparison.Ordinal))
            states.Found(handle.Arn, left);
        if (isKept)
            await TagAsync(handle.ArnIn(region), region, key, version, cancellationToken);
    }

    private (KmsState State, int Days) WishFor(Key key, KeyVersion version)
    {
        if (key.State == DomainState.PendingDeletion && version.Origin != KeyOrigin.Adopted)
        {
            var days = (int)Math.Ceiling(((key.DeletesAt ?? time.GetUtcNow()) - time.GetUtcNow()).TotalDays);
            return days > 30 ? (KmsState.Disabled, 0) : (KmsState.PendingDeletion, Math.Max(7, days));
        }

        return key.State == DomainState.Enabled && version.IsPublished ? (KmsState.Enabled, 0) : (KmsState.Disabled, 0);
    }

    /// <returns>Null where there is no such key.</returns>
    private async Task<KmsState?> DescribeAsync(
        KmsHandle handle, string region, bool isWanted, Key key, KeyVersion version, CancellationToken cancellationToken)
    {
        try
        {
            var found = await calls.RepeatAsync(
                region, (kms, cancel) => kms.DescribeKeyAsync(new DescribeKeyRequest { KeyId = handle.ArnIn(region) }, cancel), cancellationToken);
            return found.KeyMetadata.KeyState;
        }
        catch (SigningException e) when (e.Is("NotFoundException"))
        {
            if (isWanted && !string.Equals(region, handle.Region, StringComparison.Ordinal) && version.IsPublished)
            {
                await KeyCreation.ReplicateAsync(
                    calls, options, handle.Arn, region, KmsTags.Of(options, key.Id, version.Number, key.Name), cancellationToken);
            }

            return null;
        }
    }

    /// <param name="isNeeded">A version that is not published any more is on its way out: what was scheduled for it stays, whoever came first.</param>
    /// <returns>The state in which it leaves the key.</returns>
    private async Task<KmsState> SetStateAsync(
        string arn, string region, KmsState state, (KmsState State, int Days) wish, bool isNeeded, bool mayEnable, CancellationToken cancellationToken)
    {
        var isPending = state == KmsState.PendingDeletion || state == KmsState.PendingReplicaDeletion;
        if (state == wish.State || (isPending && (wish.State == KmsState.PendingDeletion || !isNeeded)))
            return state;
        if (isPending)
        {
            // It comes back disabled.
            await DoAsync(region, (kms, cancel) => kms.CancelKeyDeletionAsync(arn, cancel), cancellationToken);
            state = KmsState.Disabled;
        }

        if (wish.State == KmsState.PendingDeletion)
            await ScheduleAsync(arn, region, wish.Days, cancellationToken);
        else if (wish.State == KmsState.Enabled && state == KmsState.Disabled && mayEnable)
            await DoAsync(region, (kms, cancel) => kms.EnableKeyAsync(arn, cancel), cancellationToken);
        else if (wish.State == KmsState.Disabled && state == KmsState.Enabled)
            await DoAsync(region, (kms, cancel) => kms.DisableKeyAsync(arn, cancel), cancellationToken);
        else
            return state;
        return wish.State;
    }

    private async Task ScheduleAsync(string arn, string region, int days, CancellationToken cancellationToken)
    {
        try
        {
            await DoAsync(
                region,
                (kms, cancel) => kms.ScheduleKeyDeletionAsync(new ScheduleKeyDeletionRequest { KeyId = arn, PendingWindowInDays = days }, cancel),
                cancellationToken);
        }
        catch (SigningException e) when (e.Is("KMSInvalidStateException"))
        {
            // Pending already: a lost answer was repeated, or an administrator was faster.
        }
    }

    private async Task TagAsync(string arn, string region, Key key, KeyVersion version, CancellationToken cancellationToken)
    {
        if (version.Origin == KeyOrigin.Adopted)
            return;
        var there = (await calls.RepeatAsync(
            region, (kms, cancel) => kms.ListResourceTagsAsync(new ListResourceTagsRequest { KeyId = arn, Limit = 50 }, cancel), cancellationToken)).Tags ?? [];
        var missing = KmsTags.Of(options, key, version)
            .Where(t => !there.Exists(o => string.Equals(o.TagKey, t.TagKey, StringComparison.Ordinal) && string.Equals(o.TagValue, t.TagValue, StringComparison.Ordinal)))
            .ToList();
        if (missing.Count > 0)
            await DoAsync(region, (kms, cancel) => kms.TagResourceAsync(new TagResourceRequest { KeyId = arn, Tags = missing }, cancel), cancellationToken);
    }

    /// <summary>Names may have dots, which aliases may not; slashes, which names may not have, stand for them. An alias moves between all signing keys of a Region.</summary>
    private async Task PointAliasAsync(Key key, KmsHandle target, CancellationToken cancellationToken)
    {
        var alias = $"alias/{options.AliasPrefix}/{options.Installation.Replace('.', '/')}/{key.Name.Replace('.', '/')}";
        var region = target.Region;
        string? current = null;
        try
        {
            current = (await calls.RepeatAsync(
                region, (kms, cancel) => kms.DescribeKeyAsync(new DescribeKeyRequest { KeyId = alias }, cancel), cancellationToken)).KeyMetadata.Arn;
        }
        catch (SigningException e) when (e.Is("NotFoundException"))
        {
            // Not made yet.
        }

        if (string.Equals(current, target.Arn, StringComparison.Ordinal))
            return;
        if (current is null && await TryCreateAliasAsync(alias, target, cancellationToken))
            return;
        await DoAsync(region, (kms, cancel) => kms.UpdateAliasAsync(new UpdateAliasRequest { AliasName = alias, TargetKeyId = target.Id }, cancel), cancellationToken);
    }

    private async Task<bool> TryCreateAliasAsync(string alias, KmsHandle target, CancellationToken cancellationToken)
    {
        try
        {
            await DoAsync(
                target.Region,
                (kms, cancel) => kms.CreateAliasAsync(new CreateAliasRequest { AliasName = alias, TargetKeyId = target.Id }, cancel), cancellationToken);
            return true;
        }
        catch (SigningException e) when (e.Is("AlreadyExistsException"))
        {
            // A lost answer was repeated, or it is not known everywhere yet.
            return false;
        }
    }

    /// <summary>What fails in a replica's Region says nothing of the key's own, whose budget this call is in.</summary>
    private static SigningException Elsewhere(SigningException fault) =>
        new(fault.Fault, fault.Message, fault.InnerException) { RetryAfter = fault.RetryAfter, BackendAnswered = true };

    private Task<T> DoAsync<T>(string region, Func<IAmazonKeyManagementService, CancellationToken, Task<T>> call, CancellationToken cancellationToken) =>
        calls.RepeatAsync(region, call, cancellationToken);
}
