using System.Text.Json.Serialization;

namespace SignSvc.Emulation.Keys;

/// <summary>
/// All material a key has had: symmetric keys rotate, and ciphertext of any former material still decrypts.
/// </summary>
internal sealed class MaterialHistory
{
    /// <summary>AWS KMS allows this many on-demand rotations in the life of a key.</summary>
    public const int OnDemandRotationLimit = 25;

    public const int DefaultPeriodInDays = 365;

    public List<KeyMaterial> All { get; init; } = [];

    public string? CurrentId { get; set; }

    /// <summary>Imported material that waits for RotateKeyOnDemand.</summary>
    public string? PendingId { get; set; }

    public List<Rotation> Rotations { get; init; } = [];

    /// <summary>Null while automatic rotation is off.</summary>
    public int? PeriodInDays { get; set; }

    public DateTimeOffset? NextRotation { get; set; }

    [JsonIgnore]
    public KeyMaterial? Current => Find(CurrentId);

    [JsonIgnore]
    public int OnDemandRotations => Rotations.Count(r => r.Type is Rotation.OnDemand);

    /// <summary>
    /// A key works while all its material is there, former material included; only what waits for its rotation may lack.
    /// </summary>
    public bool IsComplete(DateTimeOffset now) =>
        CurrentId is not null
        && All.TrueForAll(m => m.IsPresent(now) || string.Equals(m.Id, PendingId, StringComparison.Ordinal));

    public static MaterialHistory StartingWith(KeyMaterial? material)
    {
        var history = new MaterialHistory();
        if (material is not null)
            history.MakeCurrent(material);
        return history;
    }

    public KeyMaterial? Find(string? id) => All.Find(m => string.Equals(m.Id, id, StringComparison.Ordinal));

    public void MakeCurrent(KeyMaterial material)
    {
        if (!All.Contains(material))
            All.Add(material);
        CurrentId = material.Id;
    }

    public void Rotate(KeyMaterial material, string type, DateTimeOffset at)
    {
        MakeCurrent(material);
        Rotations.Add(
            new Rotation
            {
                At = at,
                Type = type,
                MaterialId = material.Id,
            });
    }

    /// <summary>Does the automatic rotations whose dates have passed.</summary>
    /// <returns>Whether there was one.</returns>
    public bool RotateIfDue(KeySpec spec, string keyId, DateTimeOffset now)
    {
        var rotated = false;
        while (PeriodInDays is { } days && NextRotation <= now)
        {
            Rotate(KeyMaterial.Generate(spec, keyId), Rotation.Automatic, NextRotation.Value);
            NextRotation = NextRotation.Value.AddDays(days);
            rotated = true;
        }

        return rotated;
    }
}

internal sealed class Rotation
{
    public const string Automatic = "AUTOMATIC";
    public const string OnDemand = "ON_DEMAND";

    public required DateTimeOffset At { get; init; }

    public required string Type { get; init; }

    public required string MaterialId { get; init; }
}
