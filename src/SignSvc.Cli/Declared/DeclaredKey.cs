using SignSvc.Cli.Keys;

namespace SignSvc.Cli.Declared;

/// <summary>What becomes of a key whose manifest is gone, under <c>apply --prune</c>.</summary>
internal enum DeletionPolicy
{
    Retain,
    DisableKey,
    ScheduleKeyDeletion,
}

/// <summary>A key as a manifest wants it. What is null was not declared: it stays as it is, and at first as the service chooses.</summary>
/// <param name="ApiVersion">With <paramref name="Kind"/>: what the status is printed as.</param>
/// <param name="Aliases">All of them, where declared.</param>
/// <param name="Tags">All of them, where declared; never SignSvc's own.</param>
/// <param name="PendingWindowInDays">How long a scheduled deletion waits.</param>
/// <param name="Warnings">What the manifest says and the service does otherwise.</param>
internal sealed record DeclaredKey(
    Place Place, string ApiVersion, string Kind, string Name, string? Namespace, string Purpose, string Spec, string? Tier, string? Backend,
    string[]? Algorithms, string? Description, string? Owner, Dictionary<string, string>? Tags, string[]? Aliases, bool? Enabled,
    RotationWish? Rotation, bool? DeletionProtection, DeletionPolicy DeletionPolicy, int PendingWindowInDays, string[] Warnings)
{
    /// <summary>AWS KMS: a key that can be replicated to other Regions. For good.</summary>
    public bool? MultiRegion { get; init; }

    public const int MaxTags = 46;
    public const int MaxAliases = 50;
    public const int DefaultWindowInDays = 30;
    public const int MinWindowInDays = 7;

    public static readonly string[] Specs = ["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "RSA_2048", "RSA_3072", "RSA_4096"];
}
