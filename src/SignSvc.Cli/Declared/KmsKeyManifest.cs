using SignSvc.Cli.Keys;

namespace SignSvc.Cli.Declared;

/// <summary>
/// <c>kind: KMSKey</c> of aws-infra-operator, as people have it. What the service has no answer for is refused with
/// the reason, or left aside with a warning where the user names it in <c>--ignore</c>.
/// </summary>
internal static class KmsKeyManifest
{
    public const string ApiVersion = "aws-infra-operator.runner.codes/v1alpha1";
    public const string Kind = "KMSKey";
    public const string BackendAnnotation = ManagedTags.Prefix + "backend";

    /// <summary>What <c>--ignore</c> takes.</summary>
    public static readonly string[] Ignorable = ["keyPolicy", "grants", "multiRegion"];

    private const long YearInSeconds = 365 * 86_400;

    private static readonly string[] KmsSpecs =
    [
        .. DeclaredKey.Specs, "SYMMETRIC_DEFAULT", "HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512", "ECC_SECG_P256K1",
        "ECC_NIST_EDWARDS25519", "ML_DSA_44", "ML_DSA_65", "ML_DSA_87", "SM2",
    ];

    public static DeclaredKey Read(Members document, IReadOnlyCollection<string> ignored)
    {
        var (name, space, annotations) = ManifestHead.ReadMetadata(document, BackendAnnotation);
        var spec = document.RequiredMap("spec");
        document.Ignore("status");
        document.End();

        var warnings = new List<string>();
        if (spec.Map("providerRef") is { } provider)
        {
            provider.Text("name");
            provider.Text("namespace");
            provider.End();
            warnings.Add($"providerRef names an AWS account of the operator and is left aside; the service's backend holds the key (annotation {BackendAnnotation}).");
        }

        var description = spec.Text("description");
        var usage = spec.OneOf("keyUsage", "SIGN_VERIFY", "ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT");
        var keySpec = ReadSpec(spec);
        var rotates = spec.Flag("enableKeyRotation");
        var enabled = spec.Flag("enabled");
        var tags = ManifestHead.ReadTags(spec);
        var (policy, days) = ReadDeletion(spec, warnings);
        var multiRegion = ReadMultiRegion(spec, ignored, warnings);
        RefuseUnanswered(spec, ignored, warnings);
        spec.End();
        RefuseUsage(spec, usage, keySpec);
        return new DeclaredKey(
            document.Place, ApiVersion, Kind, name, space, Purpose: "artifacts", keySpec!, Tier: null, annotations.GetValueOrDefault(BackendAnnotation),
            Algorithms: null, description, Owner: null, tags, Aliases: null, enabled, RotationOf(rotates), DeletionProtection: null, policy, days,
            [.. warnings])
        {
            MultiRegion = multiRegion,
        };
    }

    private static bool? ReadMultiRegion(Members spec, IReadOnlyCollection<string> ignored, List<string> warnings)
    {
        var isWanted = spec.Flag("multiRegion");
        if (isWanted is not true || !ignored.Contains("multiRegion", StringComparer.Ordinal))
            return isWanted;
        warnings.Add("multiRegion is left aside: the key cannot be replicated later.");
        return null;
    }

    private static string? ReadSpec(Members spec)
    {
        var current = spec.OneOf("keySpec", KmsSpecs);
        var former = spec.OneOf("customerMasterKeySpec", KmsSpecs);
        return current is null || former is null || string.Equals(current, former, StringComparison.Ordinal)
            ? current ?? former
            : throw spec.Place.Refuse("keySpec and customerMasterKeySpec are one thing under two names, and here they differ.");
    }

    /// <summary>AWS rotates once a year, and symmetric keys alone; here a signing key gets a new version.</summary>
    private static RotationWish? RotationOf(bool? rotates) => rotates is { } yes
        ? new RotationWish(yes ? YearInSeconds : null, IsNever: !yes, Lead: null, Grace: null)
        : null;

    /// <summary>The operator's default is ScheduleKeyDeletion; it happens under --prune alone.</summary>
    private static (DeletionPolicy Policy, int Days) ReadDeletion(Members spec, List<string> warnings)
    {
        var policy = spec.OneOf("deletionPolicy", "ScheduleKeyDeletion", "DisableKey", "ForceDelete", "Retain", "Delete");
        var days = spec.Number("pendingWindowInDays", DeclaredKey.MinWindowInDays, DeclaredKey.DefaultWindowInDays) ?? DeclaredKey.DefaultWindowInDays;
        switch (policy)
        {
            case "Retain":
                return (DeletionPolicy.Retain, days);
            case "DisableKey":
                return (DeletionPolicy.DisableKey, days);
            case "ForceDelete":
                warnings.Add($"ForceDelete: no key is deleted at once; it waits the least that can be, {DeclaredKey.MinWindowInDays} days.");
                return (DeletionPolicy.ScheduleKeyDeletion, DeclaredKey.MinWindowInDays);
            default:
                return (DeletionPolicy.ScheduleKeyDeletion, days);
        }
    }

    private static void RefuseUnanswered(Members spec, IReadOnlyCollection<string> ignored, List<string> warnings)
    {
        Check(
            "keyPolicy", spec.Find("keyPolicy") is { } policy && policy is not YamlScalar { Text: "" },
            "The service has policies of its own for keys", "Put it with 'signsvc policy put --key KEY --file FILE', which translates AWS's form or says what it cannot");
        Check(
            "grants", spec.Find("grants") is { } grants && grants is not YamlList { Items.Count: 0 },
            "The service has grants of its own, for its own callers", "Make them with 'signsvc grants create'");

        void Check(string member, bool isAsked, string reason, string wayOut)
        {
            if (!isAsked)
                return;
            if (!ignored.Contains(member, StringComparer.Ordinal))
                throw spec.Find(member)!.Place.Refuse($"{member} has no effect here. {reason}.", $"{wayOut}, and take it out here or say --ignore {member}.");
            warnings.Add($"{member} is left aside. {reason}.");
        }
    }

    private static void RefuseUsage(Members spec, string? usage, string? keySpec)
    {
        if (usage is not "SIGN_VERIFY")
        {
            var named = usage is null ? "Without keyUsage a KMSKey is an ENCRYPT_DECRYPT key" : $"This is a key for {usage}";
            throw spec.Place.Refuse($"{named}, and the service signs: it takes keyUsage SIGN_VERIFY alone.", "Keep such keys in AWS KMS, and their manifests elsewhere.");
        }

        if (keySpec is null || !DeclaredKey.Specs.Contains(keySpec, StringComparer.Ordinal))
            throw spec.Place.Refuse($"The service has no {keySpec ?? "SYMMETRIC_DEFAULT (the default)"} keys; keySpec is one of: {string.Join(", ", DeclaredKey.Specs)}.");
    }
}
