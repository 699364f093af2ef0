using System.Globalization;
using SignSvc.Cli.Http;
using SignSvc.Cli.Keys;

namespace SignSvc.Cli.Declared;

/// <summary>
/// Takes the steps of a plan, one key at a time, each on condition that the key stands as it was planned for: where
/// somebody else changes it meanwhile, another apply among them, the rest of the plan is not carried out. The record of
/// what was applied comes last, so that what was left half done shows as a change and not as drift.
/// </summary>
internal sealed class Applier(ServiceClient service, Planner planner, string set, IReadOnlyList<KeyPlan> work)
{
    /// <summary>What keys are called that were changed here, by id; the others as they were planned for.</summary>
    private readonly Dictionary<string, string?> _tags = new(StringComparer.Ordinal);

    /// <param name="taken">Told after each step that succeeded.</param>
    public async Task ApplyAsync(KeyPlan plan, Action<string> taken, CancellationToken cancellationToken)
    {
        switch (plan.Action)
        {
            case PlanAction.Create:
                await CreateAsync(plan, taken, cancellationToken);
                break;
            case PlanAction.Change:
                await ChangeAsync(plan, plan.Live!, taken, cancellationToken);
                break;
            case PlanAction.Delete:
                var window = plan.PendingWindowInDays?.ToString(CultureInfo.InvariantCulture);
                await service.DeleteAsync(
                    ApiPath.WithQuery(ApiPath.Key(plan.Live!.Id), ("pendingWindowInDays", window)), cancellationToken, TagOf(plan.Live));
                taken("deletion scheduled");
                break;
            case PlanAction.Disable:
                await StepAsync(plan.Live!, tag => service.PostAsync($"{ApiPath.Key(plan.Live!.Id)}/disable", cancellationToken, tag));
                taken("disabled");
                await ReleaseAsync(plan.Live!, taken, cancellationToken);
                break;
            case PlanAction.Release:
                await ReleaseAsync(plan.Live!, taken, cancellationToken);
                break;
        }
    }

    /// <summary>In one step, so that it never stands otherwise than declared: disabled from the beginning, say.</summary>
    private async Task CreateAsync(KeyPlan plan, Action<string> taken, CancellationToken cancellationToken)
    {
        var key = plan.Declared!;
        // What another key has is taken from it when this one is there.
        var isWhole = plan.AliasesToMove is [];
        var body = new NewKeyBody(
            key.Name, key.Purpose, key.Spec, key.Tier, key.Backend, key.Algorithms, key.Description, key.Owner,
            ManagedTags.For(key, live: null, set, isWhole), key.Rotation?.ForNewKey(), key.DeletionProtection,
            MultiRegion: key.MultiRegion, Enabled: key.Enabled, Aliases: key.Aliases?.Except(plan.AliasesToMove, StringComparer.Ordinal).ToArray());
        Answer made;
        try
        {
            made = await service.PostAsync("/v1/keys", body, CliJson.Default.NewKeyBody, cancellationToken);
        }
        catch (CommandException e) when (e.Status == 409)
        {
            await RequireMadeAsync(key, e, cancellationToken);
            taken("as declared already: somebody else made it meanwhile");
            return;
        }

        taken("made");
        if (!isWhole)
            await ChangeAsync(plan, made.Read(CliJson.Default.KeyAnswer), taken, cancellationToken);
    }

    /// <summary>Two may apply the same manifests at once: what the other made is held against what is declared here.</summary>
    private async Task RequireMadeAsync(DeclaredKey key, CommandException refusal, CancellationToken cancellationToken)
    {
        var now = await planner.PlanAgainAsync(key, cancellationToken);
        if (now.Action == PlanAction.None)
            return;
        if (now.Live is null)
            throw refusal;
        throw new CommandException(
            ExitCode.Refused, $"Somebody else made {key.Name} meanwhile, and it is not, or not yet, as it is declared here.",
            "Run 'signsvc plan' to see the difference, and apply again.", refusal);
    }

    private async Task ChangeAsync(KeyPlan plan, KeyAnswer live, Action<string> taken, CancellationToken cancellationToken)
    {
        var key = plan.Declared!;
        var path = ApiPath.Key(live.Id);
        foreach (var alias in (key.Aliases ?? []).Except(live.Aliases ?? [], StringComparer.Ordinal))
        {
            await StepAsync(live, tag => service.PutAsync(ApiPath.Alias(alias), new AliasBody(live.Id), CliJson.Default.AliasBody, cancellationToken, tag));
            taken($"alias {alias} put");
            await FollowHolderAsync(alias, cancellationToken);
        }

        foreach (var alias in plan.AliasesToDelete)
        {
            await StepAsync(live, tag => service.DeleteAsync(ApiPath.Alias(alias), cancellationToken, tag));
            taken($"alias {alias} deleted");
        }

        if (key.Enabled is { } enabled && enabled != live.Is("enabled"))
        {
            await StepAsync(live, tag => service.PostAsync($"{path}/{(enabled ? "enable" : "disable")}", cancellationToken, tag));
            taken(enabled ? "enabled" : "disabled");
        }

        var rotation = key.Rotation is { } wish && !wish.IsMetBy(live.Rotation) ? wish.ForChange() : null;
        var body = new KeyUpdateBody(
            key.Description, key.Owner, ManagedTags.For(key, live, set, applied: true), rotation, key.DeletionProtection);
        await StepAsync(live, tag => service.PatchAsync(path, body, CliJson.Default.KeyUpdateBody, cancellationToken, tag));
        taken("updated");
    }

    private async Task ReleaseAsync(KeyAnswer live, Action<string> taken, CancellationToken cancellationToken)
    {
        var body = new KeyUpdateBody(Tags: ManagedTags.WithoutOurs(live.Tags));
        await StepAsync(live, tag => service.PatchAsync(ApiPath.Key(live.Id), body, CliJson.Default.KeyUpdateBody, cancellationToken, tag));
        taken("released from the set");
    }

    private string? TagOf(KeyAnswer live) => _tags.TryGetValue(live.Id, out var tag) ? tag : live.Etag;

    /// <summary>The next step's condition is what this one left.</summary>
    private async Task StepAsync(KeyAnswer live, Func<string?, Task<Answer>> step) => _tags[live.Id] = (await step(TagOf(live))).Etag;

    /// <summary>The alias came from a key that a later step may be about: what we changed there is no reason to stop.</summary>
    private async Task FollowHolderAsync(string alias, CancellationToken cancellationToken)
    {
        foreach (var holder in work.Select(k => k.Live).OfType<KeyAnswer>().Where(k => k.Aliases?.Contains(alias, StringComparer.Ordinal) == true))
            _tags[holder.Id] = (await service.GetAsync(ApiPath.Key(holder.Id), cancellationToken)).Etag;
    }
}
