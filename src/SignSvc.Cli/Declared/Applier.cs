using System.Globalization;
using SignSvc.Cli.Http;
using SignSvc.Cli.Keys;

namespace SignSvc.Cli.Declared;

/// <summary>
/// Takes the steps of a plan, one key at a time. The record of what was applied comes last, so that what was left
/// half done shows as a change and not as drift.
/// </summary>
internal sealed class Applier(ServiceClient service, string set)
{
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
                await service.DeleteAsync(ApiPath.WithQuery(ApiPath.Key(plan.Live!.Id), ("pendingWindowInDays", window)), cancellationToken);
                taken("deletion scheduled");
                break;
            case PlanAction.Disable:
                await service.PostAsync($"{ApiPath.Key(plan.Live!.Id)}/disable", cancellationToken);
                taken("disabled");
                await ReleaseAsync(plan.Live!, taken, cancellationToken);
                break;
            case PlanAction.Release:
                await ReleaseAsync(plan.Live!, taken, cancellationToken);
                break;
        }
    }

    private async Task CreateAsync(KeyPlan plan, Action<string> taken, CancellationToken cancellationToken)
    {
        var key = plan.Declared!;
        var isWhole = key.Aliases is null or [] && key.Enabled is not false;
        var body = new NewKeyBody(
            key.Name, key.Purpose, key.Spec, key.Tier, key.Backend, key.Algorithms, key.Description, key.Owner,
            ManagedTags.For(key, live: null, set, isWhole), key.Rotation?.ForNewKey(), key.DeletionProtection);
        var made = (await service.PostAsync("/v1/keys", body, CliJson.Default.NewKeyBody, cancellationToken)).Read(CliJson.Default.KeyAnswer);
        taken("made");
        if (!isWhole)
            await ChangeAsync(plan, made, taken, cancellationToken);
    }

    private async Task ChangeAsync(KeyPlan plan, KeyAnswer live, Action<string> taken, CancellationToken cancellationToken)
    {
        var key = plan.Declared!;
        var path = ApiPath.Key(live.Id);
        foreach (var alias in (key.Aliases ?? []).Except(live.Aliases ?? [], StringComparer.Ordinal))
        {
            await service.PutAsync(ApiPath.Alias(alias), new AliasBody(live.Id), CliJson.Default.AliasBody, cancellationToken);
            taken($"alias {alias} put");
        }

        foreach (var alias in plan.AliasesToDelete)
        {
            await service.DeleteAsync(ApiPath.Alias(alias), cancellationToken);
            taken($"alias {alias} deleted");
        }

        if (key.Enabled is { } enabled && enabled != live.Is("enabled"))
        {
            await service.PostAsync($"{path}/{(enabled ? "enable" : "disable")}", cancellationToken);
            taken(enabled ? "enabled" : "disabled");
        }

        var rotation = key.Rotation is { } wish && !wish.IsMetBy(live.Rotation) ? wish.Over(live.Rotation) : null;
        var body = new KeyUpdateBody(
            key.Description, key.Owner, ManagedTags.For(key, live, set, applied: true), rotation, key.DeletionProtection);
        await service.PatchAsync(path, body, CliJson.Default.KeyUpdateBody, cancellationToken);
        taken("updated");
    }

    private async Task ReleaseAsync(KeyAnswer live, Action<string> taken, CancellationToken cancellationToken)
    {
        var body = new KeyUpdateBody(Tags: ManagedTags.WithoutOurs(live.Tags));
        await service.PatchAsync(ApiPath.Key(live.Id), body, CliJson.Default.KeyUpdateBody, cancellationToken);
        taken("released from the set");
    }
}
