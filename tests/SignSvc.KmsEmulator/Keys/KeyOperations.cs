using System.Security.Cryptography;
using System.Text.Json.Nodes;
using SignSvc.Emulation.Policies;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Keys;

/// <summary>CreateKey, DescribeKey, ListKeys and the state changes of a key.</summary>
internal static class KeyOperations
{
    public static JsonObject CreateKey(Call call)
    {
        var name =
            call.In.OneOf("KeySpec", KeySpec.WireNames)
            ?? call.In.OneOf("CustomerMasterKeySpec", KeySpec.WireNames)
            ?? KeySpec.SymmetricDefault;
        var usage = call.In.OneOf("KeyUsage", KeySpec.WireUsages);
        var origin =
            call.In.OneOf("Origin", ["AWS_KMS", KmsKey.External, "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"]) ?? "AWS_KMS";
        var description = call.In.Text("Description", max: 8192, min: 0) ?? "";
        var tags = Tags.Read(call.In);
        if (usage is null && name is not KeySpec.SymmetricDefault)
            throw KmsException.Validation(
                "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.");
        usage ??= KeySpec.EncryptDecrypt;
        var spec = KeySpec.Served(name);
        if (!spec.Allows(usage))
            throw KmsException.Validation($"KeyUsage {usage} is not compatible with KeySpec {name}");
        if (origin is not ("AWS_KMS" or KmsKey.External) || call.In.Has("CustomKeyStoreId"))
            throw KmsException.Unsupported("Custom key stores are not served by this emulator.");
        var policy = KeyPolicy.Read(call) ?? KeyPolicy.Default(call.Caller.AccountId);

        var multiRegion = call.In.Flag("MultiRegion");
        var id = NewId(multiRegion);
        var material = origin is KmsKey.External ? null : KeyMaterial.Generate(spec, id);
        var key = new KmsKey
        {
            Id = id,
            AccountId = call.Caller.AccountId,
            Region = call.Caller.Region,
            SpecName = name,
            Usage = usage,
            Origin = origin,
            CreatedAt = call.Now,
            VisibleFrom = call.Now + call.World.Settings.ConsistencyDelay,
            ReadyFrom = call.Now,
            Description = description,
            Policy = policy,
            Tags = tags,
            Materials = MaterialHistory.StartingWith(material),
            MultiRegion = multiRegion ? new MultiRegion { PrimaryRegion = call.Caller.Region } : null,
        };
        lock (call.World.Gate)
        {
            RequireRoom(call.World, call.Caller, call.Now);
            call.World.Add(key);
            return new JsonObject { ["KeyMetadata"] = KeyMetadata.Of(key, call.Now) };
        }
    }

    public static JsonObject DescribeKey(Call call)
    {
        var key = call.World.Resolve(call, call.In.RequiredKeyId(), aliases: true);
        return new JsonObject { ["KeyMetadata"] = KeyMetadata.Of(key, call.Now) };
    }

    public static JsonObject ListKeys(Call call) =>
        Page.Of(
            call,
            "Keys",
            call.World.KeysOf(call.Caller, call.Now),
            k => k.Id,
            k => new JsonObject { ["KeyId"] = k.Id, ["KeyArn"] = k.Arn },
            usual: 100,
            most: 1000);

    public static JsonObject EnableKey(Call call) => SetEnabled(call, enabled: true);

    public static JsonObject DisableKey(Call call) => SetEnabled(call, enabled: false);

    public static JsonObject UpdateKeyDescription(Call call)
    {
        var description = call.In.RequiredText("Description", max: 8192, min: 0);
        var key = call.World.Resolve(call, call.In.RequiredKeyId());
        key.RequireNotPendingDeletion(call.Now);
        key.Description = description;
        return [];
    }

    public static JsonObject ScheduleKeyDeletion(Call call)
    {
        var window = call.In.Integer("PendingWindowInDays", 1, 365) ?? 30;
        if (window is < 7 or > 30)
            throw KmsException.Validation("PendingWindowInDays must be between 7 and 30 days (inclusive).");
        var key = call.World.Resolve(call, call.In.RequiredKeyId());
        key.RequireNotPendingDeletion(call.Now);
        key.RequireCreated(call.Now);
        call.World.ForgetDeleted(call.Now);

        key.PendingWindowInDays = window;
        var waitsForReplicas = key is { IsPrimary: true, MultiRegion.ReplicaRegions.Count: > 0 };
        key.DeletionDate = waitsForReplicas ? null : call.Now.AddDays(window);
        var answer = new JsonObject
        {
            ["KeyId"] = key.Arn,
            ["KeyState"] = key.StateAt(call.Now).ToString(),
            ["PendingWindowInDays"] = window,
        };
        if (key.DeletionDate is { } date)
            answer["DeletionDate"] = Answer.Time(date);
        return answer;
    }

    /// <summary>The key comes back disabled.</summary>
    public static JsonObject CancelKeyDeletion(Call call)
    {
        var key = call.World.Resolve(call, call.In.RequiredKeyId());
        if (key.PendingWindowInDays is null)
            throw KmsException.InvalidState($"{key.Arn} is not pending deletion.");
        key.PendingWindowInDays = null;
        key.DeletionDate = null;
        key.Enabled = false;
        return new JsonObject { ["KeyId"] = key.Arn };
    }

    public static void RequireRoom(World world, Caller caller, DateTimeOffset now)
    {
        world.ForgetDeleted(now);
        var keys = world.Keys.Count(k =>
            string.Equals(k.AccountId, caller.AccountId, StringComparison.Ordinal)
            && string.Equals(k.Region, caller.Region, StringComparison.Ordinal));
        if (keys >= world.Settings.KeysPerRegion)
            throw KmsException.LimitExceeded($"You have reached the limit of {world.Settings.KeysPerRegion} KMS keys.");
    }

    private static JsonObject SetEnabled(Call call, bool enabled)
    {
        var key = call.World.Resolve(call, call.In.RequiredKeyId());
        key.RequireNotPendingDeletion(call.Now);
        key.RequireCreated(call.Now);
        key.RequireNotPendingImport(call.Now);
        key.Enabled = enabled;
        return [];
    }

    private static string NewId(bool multiRegion)
    {
        var hex = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        return multiRegion ? $"mrk-{hex}" : $"{hex[..8]}-{hex[8..12]}-{hex[12..16]}-{hex[16..20]}-{hex[20..]}";
    }
}
