using Amazon.KeyManagementService.Model;
using SignSvc.Backends.AwsKms.Calls;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SigningSpec = SignSvc.Signing.Keys.KeySpec;

namespace SignSvc.Backends.AwsKms.Keys;

/// <summary>What became of the intents that a reconciliation looked at.</summary>
/// <param name="Recorded">Their versions were recorded after all.</param>
/// <param name="NeverMade">No KMS key has their tag.</param>
/// <param name="Finished">Taken into use by the caller.</param>
/// <param name="Ended">KMS keys whose deletion is scheduled now.</param>
/// <param name="TooYoung">Left for the next time.</param>
/// <param name="Missed">Why others are left for the next time: the backend did not do what was asked.</param>
public sealed record Reconciled(
    int Recorded, int NeverMade, int Finished, IReadOnlyList<string> Ended, int TooYoung, IReadOnlyList<string> Missed);

/// <summary>
/// KMS keys between their intent and their record. A crash there leaves a key that costs money and that nobody knows;
/// it is found again by its tag.
/// </summary>
internal sealed class UnrecordedKeys(string name, AwsKmsOptions options, KmsCalls calls, IKeyIntents intents, TimeProvider time)
{
    public async Task<KeyIntent> BeginAsync(KeyPairRequest request, CancellationToken cancellationToken)
    {
        var open = await intents.ListAsync(name, cancellationToken);
        if (open.Count >= options.UnrecordedKeysLimit)
        {
            await ForgetRecordedAsync(open, cancellationToken);
            open = await intents.ListAsync(name, cancellationToken);
        }

        if (open.Count >= options.UnrecordedKeysLimit)
        {
            throw new SigningException(
                SigningFault.BackendFailed,
                $"{open.Count} keys were begun in {name} and not recorded; no more are made before they are reconciled.");
        }

        var intent = new KeyIntent(
            Guid.CreateVersion7(time.GetUtcNow()).ToString(), name, request.KeyId, request.Version, request.Spec.Name, time.GetUtcNow());
        await intents.PutAsync(intent, cancellationToken);
        return intent;
    }

    public async Task<KeyIntent> MadeAsync(KeyIntent intent, string arn, CancellationToken cancellationToken)
    {
        var made = intent with { Reference = arn };
        await intents.PutAsync(made, cancellationToken);
        return made;
    }

    public Task RemoveAsync(string id, CancellationToken cancellationToken) => intents.RemoveAsync(id, cancellationToken);

    /// <summary>A key whose deletion is scheduled cannot leak any more.</summary>
    public async Task EndedAsync(string arn, CancellationToken cancellationToken)
    {
        foreach (var intent in await intents.ListAsync(name, cancellationToken))
        {
            if (string.Equals(intent.Reference, arn, StringComparison.Ordinal))
                await intents.RemoveAsync(intent.Id, cancellationToken);
        }
    }

    /// <param name="olderThan">Younger ones may be on their way to their record, on this node or another.</param>
    /// <param name="end">Schedules a key's deletion.</param>
    /// <param name="tryFinish">Takes a made key into use; false: it is ended. Null: all are ended.</param>
    public async Task<Reconciled> ReconcileAsync(
        TimeSpan olderThan,
        Func<string, CancellationToken, Task> end,
        Func<KeyIntent, string, CancellationToken, Task<bool>>? tryFinish,
        CancellationToken cancellationToken)
    {
        var open = await intents.ListAsync(name, cancellationToken);
        var unrecorded = await ForgetRecordedAsync(open, cancellationToken);
        var old = unrecorded.Where(i => time.GetUtcNow() - i.BegunAt >= olderThan).ToList();
        var lost = old.Where(i => i.Reference is null).ToList();

        var (recorded, neverMade, finished, ended, missed) = (open.Count - unrecorded.Count, 0, 0, new List<string>(), new List<string>());
        // Those that are known first: they need no search. None waits for one before it that cannot be ended.
        foreach (var intent in old.Except(lost))
            await TryAsync(() => SettleAsync(intent, [intent.Reference!]), $"{intent.Reference}");
        if (lost.Count > 0)
            await TryAsync(SettleLostAsync, "keys to which the answer was lost");
        return new Reconciled(recorded, neverMade, finished, ended, unrecorded.Count - old.Count, missed);

        async Task SettleLostAsync()
        {
            var tagged = await FindTaggedAsync(lost.Select(i => i.Id).ToHashSet(StringComparer.Ordinal), cancellationToken);
            foreach (var intent in lost)
            {
                string[] arns = [.. tagged.Where(t => string.Equals(t.IntentId, intent.Id, StringComparison.Ordinal)).Select(t => t.Arn)];
                if (arns.Length == 0)
                    neverMade++;
                await TryAsync(() => SettleAsync(intent, arns), string.Join(", ", arns));
            }
        }

        async Task SettleAsync(KeyIntent intent, string[] arns)
        {
            foreach (var arn in arns)
            {
                // Asked again: the record may have been written since.
                if (await intents.IsRecordedAsync(intent, arn, cancellationToken))
                {
                    recorded++;
                }
                else if (tryFinish is not null && await tryFinish(intent, arn, cancellationToken))
                {
                    finished++;
                }
                else
                {
                    await end(arn, cancellationToken);
                    ended.Add(arn);
                }
            }

            await intents.RemoveAsync(intent.Id, cancellationToken);
        }

        async Task TryAsync(Func<Task> settle, string what)
        {
            try
            {
                await settle();
            }
            catch (SigningException e) when (e.Fault is SigningFault.BackendFailed or SigningFault.BackendUnavailable or SigningFault.Overloaded or SigningFault.KeyNotUsable)
            {
                missed.Add($"{what}: {e.Message}");
            }
        }
    }

    public static SigningSpec SpecOf(KeyIntent intent) => SigningSpec.Parse(intent.Spec);

    private async Task<List<KeyIntent>> ForgetRecordedAsync(IReadOnlyList<KeyIntent> open, CancellationToken cancellationToken)
    {
        var unrecorded = new List<KeyIntent>();
        foreach (var intent in open)
        {
            if (intent.Reference is { } arn && await intents.IsRecordedAsync(intent, arn, cancellationToken))
                await intents.RemoveAsync(intent.Id, cancellationToken);
            else
                unrecorded.Add(intent);
        }

        return unrecorded;
    }

    /// <summary>Through all keys of the account and Region: only where an answer to CreateKey was lost.</summary>
    private async Task<List<(string IntentId, string Arn)>> FindTaggedAsync(HashSet<string> wanted, CancellationToken cancellationToken)
    {
        var found = new List<(string, string)>();
        string? marker = null;
        do
        {
            var from = marker;
            var page = await calls.RepeatAsync(
                options.Region, (kms, cancel) => kms.ListKeysAsync(new ListKeysRequest { Marker = from, Limit = 1000 }, cancel), cancellationToken);
            foreach (var key in page.Keys ?? [])
            {
                var tags = await TagsOfAsync(key.KeyId, cancellationToken);
                var isOurs = tags.Exists(t => t.TagKey is KmsTags.Installation && string.Equals(t.TagValue, options.Installation, StringComparison.Ordinal));
                if (isOurs && tags.Find(t => t.TagKey is KmsTags.Intent) is { } intent && wanted.Contains(intent.TagValue))
                    found.Add((intent.TagValue, key.KeyArn));
            }

            marker = page.Truncated == true ? page.NextMarker : null;
        }
        while (marker is not null);
        return found;
    }

    /// <summary>Never more than 50, which is one page. Keys that may not be looked at are not ours.</summary>
    private async Task<List<Tag>> TagsOfAsync(string keyId, CancellationToken cancellationToken)
    {
        try
        {
            return (await calls.RepeatAsync(
                options.Region,
                (kms, cancel) => kms.ListResourceTagsAsync(new ListResourceTagsRequest { KeyId = keyId, Limit = 50 }, cancel),
                cancellationToken)).Tags ?? [];
        }
        catch (SigningException e) when (e.Is("AccessDeniedException", "NotFoundException"))
        {
            return [];
        }
    }
}
