using System.CommandLine;
using SignSvc.Cli.Http;
using SignSvc.Cli.Keys;

namespace SignSvc.Cli.Declared;

/// <summary>Holds what is declared against what there is. It changes nothing.</summary>
internal sealed class Planner(ServiceClient service, string set, bool prune)
{
    /// <summary>Over the keys of any service; it bounds a list that never ends.</summary>
    private const int MaxPages = 1000;

    public static readonly Option<string> Set = new("--set")
    {
        HelpName = "name",
        DefaultValueFactory = _ => "default",
        Description = "Which set the manifests are. A key belongs to one set, and --prune sees the keys of this one alone.",
    };

    public static readonly Option<bool> Prune = new("--prune")
    {
        Description = "Does with keys of the set that are no longer declared what their deletionPolicy says.",
    };

    public static Planner Of(ParseResult parsed, ServiceClient service)
    {
        var set = parsed.GetRequiredValue(Set);
        return SignSvc.Signing.Keys.KeyName.IsValid(set)
            ? new Planner(service, set, parsed.GetValue(Prune))
            : throw CommandException.Usage("--set is a name such as those of keys.");
    }

    public async Task<PlanReport> PlanAsync(IReadOnlyList<DeclaredKey> declared, CancellationToken cancellationToken)
    {
        var plans = new List<KeyPlan>(declared.Count);
        var wantedAliases = declared.SelectMany(k => k.Aliases ?? []).ToHashSet(StringComparer.Ordinal);
        var holders = wantedAliases.Count == 0 ? [] : await ReadHoldersAsync(cancellationToken);
        foreach (var key in declared)
            plans.Add(PlanOne(key, await FindAsync(service, key.Name, cancellationToken), wantedAliases, holders));
        // A template that was rendered to nothing is not a wish to delete everything.
        if (prune && declared.Count == 0)
            throw CommandException.Usage("Nothing is declared: --prune would end every key of the set. Delete keys by 'signsvc keys delete'.");
        var names = declared.Select(k => k.Name).ToHashSet(StringComparer.Ordinal);
        await foreach (var key in ReadSetAsync(cancellationToken))
        {
            if (!names.Contains(key.Name) && !key.Is("pendingDeletion") && !key.Is("deleted"))
                plans.Add(PlanUndeclared(key));
        }

        return new PlanReport(set, plans);
    }

    /// <summary>Of one key alone, as things stand now.</summary>
    public async Task<KeyPlan> PlanAgainAsync(DeclaredKey key, CancellationToken cancellationToken)
    {
        var aliases = (key.Aliases ?? []).ToHashSet(StringComparer.Ordinal);
        var holders = aliases.Count == 0 ? [] : await ReadHoldersAsync(cancellationToken);
        return PlanOne(key, await FindAsync(service, key.Name, cancellationToken), aliases, holders);
    }

    /// <summary>The key with this name or alias; null: there is none.</summary>
    public static async Task<KeyAnswer?> FindAsync(ServiceClient service, string name, CancellationToken cancellationToken)
    {
        try
        {
            return (await service.GetAsync(ApiPath.Key(name), cancellationToken)).Read(CliJson.Default.KeyAnswer);
        }
        catch (CommandException e) when (e.Status == 404)
        {
            return null;
        }
    }

    private KeyPlan PlanOne(DeclaredKey key, KeyAnswer? live, HashSet<string> wantedAliases, Dictionary<string, string> holders)
    {
        string[] moves = [.. (key.Aliases ?? []).Where(a => holders.TryGetValue(a, out var holder) && !string.Equals(holder, key.Name, StringComparison.Ordinal))];
        string[] warnings = [.. key.Warnings, .. moves.Select(a => $"The alias {a} moves here from {holders[a]}.")];
        if (live is null)
        {
            var whole = KeyComparison.Wishes(key).Select(w => new Difference(w.Member, "", w.Shown, IsDrift: false));
            return new KeyPlan(key.Name, PlanAction.Create, [new("spec", "", $"{key.Spec}, {key.Purpose}", IsDrift: false), .. whole], warnings) { Declared = key, AliasesToMove = moves };
        }

        Difference[] replacements = [.. KeyComparison.Replacements(key, live)];
        if (Refusal(key, live, replacements) is { } refusal)
            return new KeyPlan(key.Name, PlanAction.Refused, replacements, warnings, refusal) { Declared = key, Live = live };
        var differences = Differences(key, live);
        return new KeyPlan(key.Name, differences.Length == 0 ? PlanAction.None : PlanAction.Change, differences, warnings)
        {
            Declared = key,
            Live = live,
            AliasesToDelete = key.Aliases is null ? [] : [.. (live.Aliases ?? []).Where(a => !wantedAliases.Contains(a))],
        };
    }

    private string? Refusal(DeclaredKey key, KeyAnswer live, Difference[] replacements)
    {
        var holder = live.Tags?.GetValueOrDefault(ManagedTags.Set);
        if (!string.Equals(live.Name, key.Name, StringComparison.Ordinal))
            return $"{key.Name} is an alias of {live.Name}: declare the key under another name, or delete the alias.";
        if (live.Is("pendingDeletion"))
            return $"It is pending deletion. 'signsvc keys cancel-deletion {key.Name}' takes that back; or take the manifest away.";
        if (live.Is("deleted"))
            return "A key had this name and was deleted; names are not used twice. Declare it under another.";
        if (holder is not null && !string.Equals(holder, set, StringComparison.Ordinal))
            return $"It belongs to the set {holder}: say --set {holder}, or take it out of that set first.";
        return replacements.Length == 0
            ? null
            : $"{string.Join(", ", replacements.Select(r => r.Member))} cannot change: that would be another key. "
            + "Declare a new key under a new name, give verifiers its public key, move the aliases and token profiles to it, and then retire this one.";
    }

    private Difference[] Differences(DeclaredKey key, KeyAnswer live)
    {
        var found = KeyComparison.Wishes(key)
            .Where(wish => !wish.IsMet(live))
            .Select(wish => new Difference(wish.Member, wish.Current(live), wish.Shown, ManagedTags.WasApplied(live, wish.Member, wish.Canonical)))
            .ToList();
        AddOurs("set", ManagedTags.Set, set);
        AddOurs("deletionPolicy", ManagedTags.Deletion, ManagedTags.DeletionOf(key));
        if (found.Count == 0)
            AddOurs("record", ManagedTags.Applied, ManagedTags.AppliedOf(key));
        return [.. found];

        void AddOurs(string member, string tag, string wanted)
        {
            var current = live.Tags?.GetValueOrDefault(tag) ?? "";
            if (!string.Equals(current, wanted, StringComparison.Ordinal))
                found.Add(new Difference(member, current, wanted, IsDrift: false));
        }
    }

    private KeyPlan PlanUndeclared(KeyAnswer live)
    {
        var (policy, days) = ManagedTags.DeletionOf(live);
        var action = (prune, policy) switch
        {
            (false, _) => PlanAction.Undeclared,
            (true, DeletionPolicy.ScheduleKeyDeletion) => PlanAction.Delete,
            (true, DeletionPolicy.DisableKey) => PlanAction.Disable,
            (true, _) => PlanAction.Release,
        };
        return new KeyPlan(live.Name, action, [], []) { Live = live, PendingWindowInDays = action == PlanAction.Delete ? days : null };
    }

    private async Task<Dictionary<string, string>> ReadHoldersAsync(CancellationToken cancellationToken)
    {
        var list = (await service.GetAsync("/v1/aliases", cancellationToken)).Read(CliJson.Default.AliasList);
        return list.Aliases.ToDictionary(a => a.Alias, a => a.Key, StringComparer.Ordinal);
    }

    private async IAsyncEnumerable<KeyAnswer> ReadSetAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string? after = null;
        for (var page = 0; page < MaxPages; page++)
        {
            var path = ApiPath.WithQuery("/v1/keys", ("tag", $"{ManagedTags.Set}={set}"), ("limit", "1000"), ("after", after));
            var list = (await service.GetAsync(path, cancellationToken)).Read(CliJson.Default.KeyList);
            foreach (var key in list.Keys)
                yield return key;
            after = list.Next;
            if (after is null)
                yield break;
        }
    }
}
