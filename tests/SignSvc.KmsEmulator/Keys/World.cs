using System.Text.RegularExpressions;
using SignSvc.Emulation.Aliases;
using SignSvc.Emulation.Policies;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Keys;

/// <summary>All keys and aliases of all accounts and Regions.</summary>
internal sealed partial class World(WorldSettings settings)
{
    private readonly Dictionary<string, KmsKey> _keys = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Alias> _aliases = new(StringComparer.Ordinal);

    /// <summary>Guards everything that the world holds. Never held while a key is generated or used.</summary>
    public Lock Gate { get; } = new();

    public WorldSettings Settings => settings;

    /// <summary>Grows with every change, so that a saved state can be told from a newer one.</summary>
    public long Version { get; private set; }

    public void Touch() => Version++;

    public IEnumerable<KmsKey> Keys => _keys.Values;

    public IEnumerable<Alias> Aliases => _aliases.Values;

    public void Add(KmsKey key) => _keys.Add(key.Arn, key);

    public void Add(Alias alias) => _aliases.Add(alias.Arn, alias);

    public Alias? FindAlias(string arn) => _aliases.GetValueOrDefault(arn);

    public void RemoveAlias(string arn) => _aliases.Remove(arn);

    public KmsKey? FindKey(string arn, DateTimeOffset now) =>
        _keys.TryGetValue(arn, out var key) && !key.IsDeleted(now) && key.VisibleFrom <= now ? key : null;

    /// <summary>The visible keys of the caller's account and Region, in the order of their ids.</summary>
    public IEnumerable<KmsKey> KeysOf(Caller caller, DateTimeOffset now)
    {
        ForgetDeleted(now);
        return _keys
            .Values.Where(k => k.VisibleFrom <= now && IsIn(k.AccountId, k.Region, caller))
            .OrderBy(k => k.Id, StringComparer.Ordinal);
    }

    public IEnumerable<Alias> AliasesOf(Caller caller, DateTimeOffset now)
    {
        ForgetDeleted(now);
        return _aliases
            .Values.Where(a => a.TargetAt(now) is not null && IsIn(a.AccountId, a.Region, caller))
            .OrderBy(a => a.Name, StringComparer.Ordinal);
    }

    /// <summary>
    /// Removes keys whose date of deletion has passed, and their aliases. A primary key that waited for its last
    /// replica starts its own waiting period then.
    /// </summary>
    public void ForgetDeleted(DateTimeOffset now)
    {
        foreach (var key in _keys.Values.Where(k => k.IsDeleted(now)).ToList())
        {
            _keys.Remove(key.Arn);
            foreach (var alias in _aliases.Values.Where(a => a.Targets(key)).ToList())
                _aliases.Remove(alias.Arn);
            if (key.MultiRegion is not { } regions
                || !regions.ReplicaRegions.Remove(key.Region)
                || regions.ReplicaRegions.Count > 0)
                continue;
            var primary = _keys.Values.FirstOrDefault(k => ReferenceEquals(k.MultiRegion, regions) && k.IsPrimary);
            if (primary is { PendingWindowInDays: { } days, DeletionDate: null })
                primary.DeletionDate = key.DeletionDate!.Value.AddDays(days);
        }
    }

    /// <summary>
    /// Finds the key that a request names by id or ARN, and where the call allows it by alias or alias ARN.
    /// </summary>
    public KmsKey Resolve(Call call, string reference, bool aliases = false)
    {
        var arn = ArnOf(call, reference, aliases);
        if (FindKey(arn, call.Now) is not { } key)
            throw KmsException.NotFound($"Key '{arn}' does not exist");
        if (key.StateAt(call.Now) == KeyState.PendingReplicaDeletion)
            ForgetDeleted(call.Now);
        if (!string.Equals(key.AccountId, call.Caller.AccountId, StringComparison.Ordinal)
            && !KeyPolicy.AllowsForeign(key, call.Caller, call.Operation))
            throw KmsException.AccessDenied(call.Caller, call.Operation, key.Arn);
        if (key.Materials.RotateIfDue(key.Spec, key.Id, call.Now))
            Version++;
        return key;
    }

    private string ArnOf(Call call, string reference, bool aliases)
    {
        var caller = call.Caller;
        if (reference.StartsWith("arn:", StringComparison.Ordinal))
        {
            var match = Arn().Match(reference);
            if (!match.Success)
                throw new KmsException("InvalidArnException", $"Invalid arn {reference}");
            var region = match.Groups["region"].Value;
            if (!string.Equals(region, caller.Region, StringComparison.Ordinal))
                throw KmsException.NotFound($"Invalid arn {region}");
            if (match.Groups["alias"].Success)
                return aliases
                    ? TargetOf(reference, call)
                    : throw KmsException.NotFound($"Invalid keyId '{reference}'");
            return reference;
        }

        if (aliases && reference.StartsWith(Alias.Prefix, StringComparison.Ordinal))
            return TargetOf(Alias.ArnOf(caller, reference), call);
        return Id().IsMatch(reference)
            ? $"arn:aws:kms:{caller.Region}:{caller.AccountId}:key/{reference}"
            : throw KmsException.NotFound($"Invalid keyId '{reference}'");
    }

    private string TargetOf(string aliasArn, Call call)
    {
        var alias = FindAlias(aliasArn);
        return alias?.TargetAt(call.Now) is { } keyId
            ? $"arn:aws:kms:{alias.Region}:{alias.AccountId}:key/{keyId}"
            : throw KmsException.NotFound($"Alias {aliasArn} is not found.");
    }

    private static bool IsIn(string accountId, string region, Caller caller) =>
        string.Equals(accountId, caller.AccountId, StringComparison.Ordinal)
        && string.Equals(region, caller.Region, StringComparison.Ordinal);

    [GeneratedRegex(
        "^arn:aws[a-z-]*:kms:(?<region>[a-z0-9-]+):[0-9]{12}:(key/[A-Za-z0-9-]+|(?<alias>alias/[a-zA-Z0-9:/_-]+))$",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex Arn();

    [GeneratedRegex(
        "^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex Id();
}
