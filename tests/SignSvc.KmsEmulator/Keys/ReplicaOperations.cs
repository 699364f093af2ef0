using System.Text.Json.Nodes;
using SignSvc.Emulation.Policies;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Keys;

/// <summary>
/// Multi-Region keys: one id and one material; policy, tags, aliases, grants and state are each Region's own.
/// </summary>
internal static class ReplicaOperations
{
    private const string RegionPattern = @"^([a-z]+-){2,3}\d+$";

    public static JsonObject ReplicateKey(Call call)
    {
        var region = call.In.RequiredText("ReplicaRegion", max: 32, pattern: RegionPattern);
        var description = call.In.Text("Description", max: 8192, min: 0) ?? "";
        var tags = Tags.Read(call.In);
        var primary = call.World.Resolve(call, call.In.RequiredKeyId());
        if (primary.MultiRegion is not { } regions || !primary.IsPrimary)
            throw KmsException.Unsupported($"{primary.Arn} is not a multi-region primary key.");
        primary.RequireEnabled(call.Now);
        var policy = KeyPolicy.Read(call) ?? KeyPolicy.Default(primary.AccountId);
        call.World.ForgetDeleted(call.Now);
        if (string.Equals(region, primary.Region, StringComparison.Ordinal) || regions.ReplicaRegions.Contains(region))
            throw new KmsException("AlreadyExistsException", $"A key {primary.Id} already exists in {region}.");
        KeyOperations.RequireRoom(call.World, call.Caller with { Region = region }, call.Now);

        var replica = new KmsKey
        {
            Id = primary.Id,
            AccountId = primary.AccountId,
            Region = region,
            SpecName = primary.SpecName,
            Usage = primary.Usage,
            Origin = primary.Origin,
            CreatedAt = call.Now,
            VisibleFrom = call.Now + call.World.Settings.ConsistencyDelay,
            ReadyFrom = call.Now + call.World.Settings.ReplicationDelay,
            Description = description,
            Policy = policy,
            Tags = tags,
            Materials =
                primary.Origin is KmsKey.External ? MaterialHistory.StartingWith(material: null) : primary.Materials,
            MultiRegion = regions,
        };
        regions.ReplicaRegions.Add(region);
        call.World.Add(replica);

        // The answer always says Creating, even where replication takes no time here.
        var answer = new JsonObject
        {
            ["ReplicaKeyMetadata"] = KeyMetadata.Of(replica, call.Now, KeyState.Creating),
            ["ReplicaPolicy"] = policy,
        };
        if (tags.Count > 0)
            answer["ReplicaTags"] = new JsonArray([.. tags.Select(t => Tags.ToJson(t.Key, t.Value))]);
        return answer;
    }

    public static JsonObject UpdatePrimaryRegion(Call call)
    {
        var region = call.In.RequiredText("PrimaryRegion", max: 32, pattern: RegionPattern);
        var key = call.World.Resolve(call, call.In.RequiredKeyId());
        if (key.MultiRegion is not { } regions || !key.IsPrimary)
            throw KmsException.Unsupported($"{key.Arn} is not a multi-region primary key.");
        key.RequireEnabled(call.Now);
        if (!regions.ReplicaRegions.Remove(region))
            throw KmsException.NotFound($"Key 'arn:aws:kms:{region}:{key.AccountId}:key/{key.Id}' does not exist");
        regions.ReplicaRegions.Add(key.Region);
        regions.PrimaryRegion = region;
        return [];
    }
}
