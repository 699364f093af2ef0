using System.Text.Json.Serialization;
using SignSvc.Emulation.Grants;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Keys;

internal enum KeyState
{
    Creating,
    PendingImport,
    Enabled,
    Disabled,
    PendingDeletion,
    PendingReplicaDeletion,
}

/// <summary>
/// A KMS key of one account and Region, guarded by <see cref="World.Gate"/>. Its state is computed from the clock, so
/// that deletion, expiry and replication need no timers.
/// </summary>
internal sealed class KmsKey
{
    public const string External = "EXTERNAL";

    public required string Id { get; init; }

    public required string AccountId { get; init; }

    public required string Region { get; init; }

    public required string SpecName { get; init; }

    public required string Usage { get; init; }

    /// <summary><c>AWS_KMS</c> or <see cref="External"/>.</summary>
    public required string Origin { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Until then calls do not find the key: delayed consistency.</summary>
    public DateTimeOffset VisibleFrom { get; init; }

    /// <summary>End of <see cref="KeyState.Creating"/>, for a replica.</summary>
    public DateTimeOffset ReadyFrom { get; init; }

    public string Description { get; set; } = "";

    public required string Policy { get; set; }

    public SortedDictionary<string, string> Tags { get; init; } = new(StringComparer.Ordinal);

    public List<Grant> Grants { get; init; } = [];

    /// <summary>What EnableKey and DisableKey set.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>Set while deletion is scheduled.</summary>
    public int? PendingWindowInDays { get; set; }

    /// <summary>Null where deletion is scheduled but replicas must go first.</summary>
    public DateTimeOffset? DeletionDate { get; set; }

    public List<ImportToken> ImportTokens { get; init; } = [];

    /// <summary>Shared by a multi-Region key and its replicas where AWS KMS made the material.</summary>
    public required MaterialHistory Materials { get; init; }

    /// <summary>Shared by a multi-Region primary key and its replicas; null for a single-Region key.</summary>
    public MultiRegion? MultiRegion { get; init; }

    [JsonIgnore]
    public KeySpec Spec => KeySpec.Served(SpecName);

    [JsonIgnore]
    public string Arn => $"arn:aws:kms:{Region}:{AccountId}:key/{Id}";

    [JsonIgnore]
    public bool IsPrimary =>
        MultiRegion is null || string.Equals(MultiRegion.PrimaryRegion, Region, StringComparison.Ordinal);

    public bool IsDeleted(DateTimeOffset now) => DeletionDate <= now;

    public KeyState StateAt(DateTimeOffset now)
    {
        if (DeletionDate is not null)
            return KeyState.PendingDeletion;
        if (PendingWindowInDays is not null)
            return KeyState.PendingReplicaDeletion;
        if (ReadyFrom > now)
            return KeyState.Creating;
        if (!Materials.IsComplete(now))
            return KeyState.PendingImport;
        return Enabled ? KeyState.Enabled : KeyState.Disabled;
    }

    public void RequireNotPendingDeletion(DateTimeOffset now)
    {
        if (StateAt(now) is KeyState.PendingDeletion or KeyState.PendingReplicaDeletion)
            throw KmsException.InvalidState($"{Arn} is pending deletion.");
    }

    public void RequireNotPendingImport(DateTimeOffset now)
    {
        if (StateAt(now) == KeyState.PendingImport)
            throw KmsException.InvalidState($"{Arn} is pending import.");
    }

    public void RequireCreated(DateTimeOffset now)
    {
        if (StateAt(now) == KeyState.Creating)
            throw KmsException.InvalidState($"{Arn} is creating.");
    }

    /// <summary>What every cryptographic operation, CreateGrant and GetPublicKey need.</summary>
    public void RequireEnabled(DateTimeOffset now)
    {
        RequireNotPendingDeletion(now);
        RequireCreated(now);
        RequireNotPendingImport(now);
        if (!Enabled)
            throw new KmsException("DisabledException", $"{Arn} is disabled.");
    }

    public void RequireUsage(string usage, string operation)
    {
        if (!string.Equals(Usage, usage, StringComparison.Ordinal))
            throw KmsException.InvalidKeyUsage($"{Arn} key usage is {Usage} which is not valid for {operation}.");
    }

    public void RequireAlgorithm(string algorithm, string[] allowed)
    {
        if (!allowed.Contains(algorithm, StringComparer.Ordinal))
            throw KmsException.InvalidKeyUsage($"Algorithm {algorithm} is incompatible with key spec {SpecName}.");
    }
}

/// <summary>The regions of a multi-Region key.</summary>
internal sealed class MultiRegion
{
    public required string PrimaryRegion { get; set; }

    public SortedSet<string> ReplicaRegions { get; init; } = new(StringComparer.Ordinal);
}

/// <summary>What GetParametersForImport hands out, and what the import needs to unwrap the material.</summary>
internal sealed class ImportToken
{
    public required string Id { get; init; }

    public required string WrappingAlgorithm { get; init; }

    public required byte[] WrappingKey { get; init; }

    public required DateTimeOffset ValidTo { get; init; }
}
