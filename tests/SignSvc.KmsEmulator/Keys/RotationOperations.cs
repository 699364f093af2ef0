using System.Text.Json.Nodes;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Keys;

/// <summary>
/// Automatic and on-demand rotation of symmetric keys. On-demand rotation is done when the call returns.
/// </summary>
internal static class RotationOperations
{
    public static JsonObject EnableKeyRotation(Call call)
    {
        var days = call.In.Integer("RotationPeriodInDays", 90, 2560) ?? MaterialHistory.DefaultPeriodInDays;
        var key = RotatableByAws(call);
        if (!key.IsPrimary)
            throw KmsException.Unsupported($"{key.Arn} is not a multi-region primary key.");
        key.Materials.PeriodInDays = days;
        key.Materials.NextRotation = call.Now.AddDays(days);
        return [];
    }

    public static JsonObject DisableKeyRotation(Call call)
    {
        var key = RotatableByAws(call);
        key.Materials.PeriodInDays = null;
        key.Materials.NextRotation = null;
        return [];
    }

    public static JsonObject GetKeyRotationStatus(Call call)
    {
        var key = call.World.Resolve(call, call.In.RequiredKeyId());
        key.RequireNotPendingDeletion(call.Now);
        key.RequireNotPendingImport(call.Now);
        var answer = new JsonObject
        {
            ["KeyId"] = key.Arn,
            ["KeyRotationEnabled"] = key.Materials.PeriodInDays is not null,
        };
        if (key.Materials is { PeriodInDays: { } days, NextRotation: { } next })
        {
            answer["RotationPeriodInDays"] = days;
            answer["NextRotationDate"] = Answer.Time(next);
        }

        return answer;
    }

    public static JsonObject RotateKeyOnDemand(Call call)
    {
        var key = call.World.Resolve(call, call.In.RequiredKeyId());
        key.RequireEnabled(call.Now);
        RequireSymmetric(key);
        if (!key.IsPrimary)
            throw KmsException.Unsupported($"{key.Arn} is not a multi-region primary key.");
        if (key.Materials.OnDemandRotations >= MaterialHistory.OnDemandRotationLimit)
            throw KmsException.LimitExceeded(
                $"The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: {key.Arn}");

        KeyMaterial next;
        if (key.Origin is KmsKey.External)
        {
            next =
                key.Materials.All.Find(m => IsPending(m) && m.IsPresent(call.Now))
                ?? throw KmsException.InvalidState(
                    $"No available key material pending rotation for the key: {key.Arn}.");
            key.Materials.PendingId = null;
        }
        else
        {
            next = KeyMaterial.Generate(key.Spec, key.Id);
        }

        key.Materials.Rotate(next, Rotation.OnDemand, call.Now);
        return new JsonObject { ["KeyId"] = key.Arn };

        bool IsPending(KeyMaterial material) =>
            string.Equals(material.Id, key.Materials.PendingId, StringComparison.Ordinal);
    }

    public static JsonObject ListKeyRotations(Call call)
    {
        var include = call.In.OneOf("IncludeKeyMaterial", ["ALL_KEY_MATERIAL", "ROTATIONS_ONLY"]) ?? "ROTATIONS_ONLY";
        var key = call.World.Resolve(call, call.In.RequiredKeyId());
        RequireSymmetric(key);
        var materials = key.Materials.All.Select(
            (material, index) => (Material: material, Order: index.ToString("D6")));
        if (include is "ROTATIONS_ONLY")
            materials = materials.Where(m => RotationTo(m.Material) is not null);
        return Page.Of(call, "Rotations", materials, m => m.Order, m => ToJson(m.Material), usual: 100, most: 1000);

        Rotation? RotationTo(KeyMaterial material) =>
            key.Materials.Rotations.Find(r => string.Equals(r.MaterialId, material.Id, StringComparison.Ordinal));

        JsonObject ToJson(KeyMaterial material)
        {
            var entry = new JsonObject
            {
                ["KeyId"] = key.Arn,
                ["KeyMaterialId"] = material.Id,
                ["KeyMaterialState"] = StateOf(key.Materials, material),
            };
            if (RotationTo(material) is { } rotation)
            {
                entry["RotationDate"] = Answer.Time(rotation.At);
                entry["RotationType"] = rotation.Type;
            }

            if (key.Origin is KmsKey.External)
                entry["ImportState"] = material.IsPresent(call.Now) ? "IMPORTED" : "PENDING_IMPORT";
            if (material.ImportDescription is { } description)
                entry["KeyMaterialDescription"] = description;
            return entry;
        }
    }

    private static string StateOf(MaterialHistory history, KeyMaterial material)
    {
        if (string.Equals(material.Id, history.CurrentId, StringComparison.Ordinal))
            return "CURRENT";
        return string.Equals(material.Id, history.PendingId, StringComparison.Ordinal)
            ? "PENDING_ROTATION"
            : "NON_CURRENT";
    }

    private static KmsKey RotatableByAws(Call call)
    {
        var key = call.World.Resolve(call, call.In.RequiredKeyId());
        key.RequireEnabled(call.Now);
        RequireSymmetric(key);
        if (key.Origin is KmsKey.External)
            throw KmsException.Unsupported($"{key.Arn} origin is {key.Origin} which is not valid for this operation.");
        return key;
    }

    /// <summary>AWS sends no message with this refusal (recorded).</summary>
    private static void RequireSymmetric(KmsKey key)
    {
        if (key.Spec.Kind != KeyKind.Symmetric)
            throw KmsException.Unsupported();
    }
}
