using System.Text.Json.Nodes;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Keys;

/// <summary>The structure KeyMetadata of the API.</summary>
internal static class KeyMetadata
{
    public static JsonObject Of(KmsKey key, DateTimeOffset now, KeyState? state = null)
    {
        var shown = state ?? key.StateAt(now);
        var metadata = new JsonObject
        {
            ["AWSAccountId"] = key.AccountId,
            ["KeyId"] = key.Id,
            ["Arn"] = key.Arn,
            ["CreationDate"] = Answer.Time(key.CreatedAt),
            ["Enabled"] = shown == KeyState.Enabled,
            ["Description"] = key.Description,
            ["KeyUsage"] = key.Usage,
            ["KeyState"] = shown.ToString(),
            ["Origin"] = key.Origin,
            ["KeyManager"] = "CUSTOMER",
            ["CustomerMasterKeySpec"] = key.SpecName,
            ["KeySpec"] = key.SpecName,
            ["MultiRegion"] = key.MultiRegion is not null,
        };
        AddAlgorithms(metadata, key);
        if (key.DeletionDate is { } deletion)
            metadata["DeletionDate"] = Answer.Time(deletion);
        if (shown == KeyState.PendingReplicaDeletion)
            metadata["PendingDeletionWindowInDays"] = key.PendingWindowInDays;
        if (key.Origin is KmsKey.External && key.Materials.Current is { } material && material.IsPresent(now))
        {
            metadata["ExpirationModel"] = material.ValidTo is null
                ? "KEY_MATERIAL_DOES_NOT_EXPIRE"
                : "KEY_MATERIAL_EXPIRES";
            if (material.ValidTo is { } validTo)
                metadata["ValidTo"] = Answer.Time(validTo);
        }

        if (key.Spec.Kind == KeyKind.Symmetric && key.Materials.CurrentId is { } current && shown != KeyState.Creating)
            metadata["CurrentKeyMaterialId"] = current;
        if (key.MultiRegion is { } regions)
            metadata["MultiRegionConfiguration"] = Configuration(key, regions);
        return metadata;
    }

    /// <summary>The algorithms of a key's usage, in KeyMetadata and in the answer of GetPublicKey.</summary>
    public static void AddAlgorithms(JsonObject answer, KmsKey key)
    {
        if (key.Usage is KeySpec.SignVerify)
            answer["SigningAlgorithms"] = Answer.List(key.Spec.SigningAlgorithms);
        else
            answer["EncryptionAlgorithms"] = Answer.List(key.Spec.EncryptionAlgorithms);
    }

    private static JsonObject Configuration(KmsKey key, MultiRegion regions)
    {
        JsonObject In(string region) =>
            new() { ["Arn"] = $"arn:aws:kms:{region}:{key.AccountId}:key/{key.Id}", ["Region"] = region };

        return new JsonObject
        {
            ["MultiRegionKeyType"] = key.IsPrimary ? "PRIMARY" : "REPLICA",
            ["PrimaryKey"] = In(regions.PrimaryRegion),
            ["ReplicaKeys"] = new JsonArray([.. regions.ReplicaRegions.Select(In)]),
        };
    }
}
