using System.Collections.Frozen;
using System.Text.RegularExpressions;
using SignSvc.Signing.Backends.Budgets;

namespace SignSvc.Backends.AwsKms;

/// <summary>How to reach keys in one account of AWS KMS. Several accounts are several backends, each with a name.</summary>
public sealed partial class AwsKmsOptions
{
    private static readonly FrozenSet<string> Families = new AwsKmsOptions().QuotaPerSecond.Keys.ToFrozenSet(StringComparer.Ordinal);

    /// <summary>Where keys are made, <c>eu-central-1</c>. Wrong, and every key lives in another jurisdiction than meant.</summary>
    public string Region { get; set; } = "";

    /// <summary>
    /// With any, keys are made as multi-Region keys and replicated here, and signing falls back to these in turn while
    /// the first is down. Each replica costs as much as a key. A key made without cannot be replicated later, unless it asked to be multi-Region itself.
    /// </summary>
    public IList<string> ReplicaRegions { get; } = [];

    /// <summary>
    /// Names this installation in the tags of its keys. Two installations with the same name in one account take each
    /// other's new keys for leaked ones.
    /// </summary>
    public string Installation { get; set; } = "";

    /// <summary>A profile of the shared AWS configuration; null: the default chain (environment, web identity, profile, container, instance).</summary>
    public string? Profile { get; set; }

    /// <summary>A role to assume with those credentials, for keys in another account. Null: none.</summary>
    public string? RoleArn { get; set; }

    /// <summary>What the role's trust policy asks for as <c>sts:ExternalId</c>.</summary>
    public string? RoleExternalId { get; set; }

    /// <summary>Another endpoint than AWS's own, for KMS and STS: a VPC endpoint, an emulator. The Region still signs the requests.</summary>
    public Uri? ServiceUrl { get; set; }

    /// <summary>Endpoints of a single Region, where they differ from <see cref="ServiceUrl"/>.</summary>
    public IDictionary<string, Uri> ServiceUrlByRegion { get; } = new Dictionary<string, Uri>(StringComparer.Ordinal);

    /// <summary>Endpoints whose TLS is FIPS 140 validated; they do not exist in every Region.</summary>
    public bool UseFipsEndpoint { get; set; }

    public bool UseDualStackEndpoint { get; set; }

    /// <summary>ARN or alias of the symmetric key that wraps the volume tier's keys; null: this backend wraps nothing.</summary>
    public string? WrappingKey { get; set; }

    /// <summary>Wrapping keys that were in use before: what they wrapped is still unwrapped.</summary>
    public IList<string> FormerWrappingKeys { get; } = [];

    /// <summary>Period of the wrapping key's automatic rotation; null: left as it is.</summary>
    public int? WrappingKeyRotationDays { get; set; } = 365;

    /// <summary>How long a destroyed key can still be brought back by an administrator of the account.</summary>
    public int DeletionWindowDays { get; set; } = 30;

    /// <summary>Aliases are <c>alias/</c>, this, the installation and the key's name, with slashes between; they follow the version that signs. Null: none are made.</summary>
    public string? AliasPrefix { get; set; } = "signsvc";

    /// <summary>JSON of the policy that new keys get; null: the account's administrators decide by IAM alone.</summary>
    public string? KeyPolicy { get; set; }

    /// <summary>Further tags of new keys, for cost allocation.</summary>
    public IDictionary<string, string> Tags { get; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>
    /// Keys that may be begun and not yet recorded. It bounds what a crash loop between making a key and recording it
    /// can leak; too low, and many keys made at once are refused.
    /// </summary>
    public int UnrecordedKeysLimit { get; set; } = 20;

    /// <summary>
    /// How often each node looks with DescribeKey whether the keys that sign may sign in KMS too. Rarer, and a key that was
    /// stopped there shows later; more often, and it costs: 100 keys every 5 minutes are some 860,000 calls a month.
    /// </summary>
    public int StateSurveySeconds { get; set; } = 300;

    /// <summary>The net under every call. The budgets' deadlines come first.</summary>
    public int CallTimeoutMilliseconds { get; set; } = 10_000;

    /// <summary>Calls at once to one Region.</summary>
    public int ConnectionLimit { get; set; } = 512;

    /// <summary>
    /// Quotas in calls per second that this backend may use, by family: RSA, ECC, SYMMETRIC, MANAGEMENT, and
    /// KEY_PAIR_ with a key spec. The defaults are AWS's for an account and Region. What other programs or another
    /// instance of this service in the account spend has to be taken off.
    /// </summary>
    public IDictionary<string, double> QuotaPerSecond { get; } = new Dictionary<string, double>(StringComparer.Ordinal)
    {
        ["RSA"] = 1_000,
        ["ECC"] = 1_000,
        [BudgetOptions.Symmetric] = 10_000,
        [BudgetOptions.Management] = 5,
        ["KEY_PAIR_RSA_2048"] = 20,
        ["KEY_PAIR_RSA_3072"] = 4,
        ["KEY_PAIR_RSA_4096"] = 1,
        ["KEY_PAIR_ECC_NIST_P256"] = 100,
        ["KEY_PAIR_ECC_NIST_P384"] = 100,
        ["KEY_PAIR_ECC_NIST_P521"] = 100,
    };

    /// <summary>What an instance of this name in the settings is called as a backend.</summary>
    public static string BackendName(string instance) =>
        string.Equals(instance, "default", StringComparison.Ordinal) ? "aws-kms" : $"aws-kms:{instance}";

    /// <summary>The budgets that go with these options.</summary>
    public BudgetOptions ToBudgets() => new()
    {
        Families = QuotaPerSecond.ToDictionary(
            q => q.Key,
            q => new BudgetLimits { PerSecond = q.Value, InFlightLimit = ConnectionLimit },
            StringComparer.Ordinal),
        Others = new BudgetLimits { PerSecond = 1 },
    };

    /// <summary>Every fault at once; empty where the options hold.</summary>
    public IReadOnlyList<string> Validate()
    {
        var faults = new List<string>();
        void Check(bool holds, string fault)
        {
            if (!holds)
                faults.Add(fault);
        }

        Check(RegionForm().IsMatch(Region), $"{nameof(Region)} must name an AWS Region.");
        Check(ReplicaRegions.All(r => RegionForm().IsMatch(r)), $"{nameof(ReplicaRegions)} must name AWS Regions.");
        Check(
            ReplicaRegions.Append(Region).Distinct(StringComparer.Ordinal).Count() == ReplicaRegions.Count + 1,
            $"{nameof(ReplicaRegions)} names a Region twice or repeats {nameof(Region)}.");
        Check(InstallationForm().IsMatch(Installation), $"{nameof(Installation)} must be 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-'.");
        Check(RoleArn is null || RoleForm().IsMatch(RoleArn), $"{nameof(RoleArn)} must be the ARN of an IAM role.");
        Check(RoleExternalId is null || RoleArn is not null, $"{nameof(RoleExternalId)} needs {nameof(RoleArn)}.");
        Check(
            ServiceUrlByRegion.Values.Append(ServiceUrl).All(u => u is null || (u.IsAbsoluteUri && u.Scheme is "http" or "https")),
            $"{nameof(ServiceUrl)} and {nameof(ServiceUrlByRegion)} must be http or https addresses.");
        Check(
            ServiceUrlByRegion.Keys.All(r => string.Equals(r, Region, StringComparison.Ordinal) || ReplicaRegions.Contains(r)),
            $"{nameof(ServiceUrlByRegion)} names a Region that is not used.");
        Check(!(UseFipsEndpoint && ServiceUrl is not null), $"{nameof(UseFipsEndpoint)} has no meaning beside {nameof(ServiceUrl)}.");
        Check(FormerWrappingKeys.Count <= 8, $"{nameof(FormerWrappingKeys)} must be at most 8.");
        Check(FormerWrappingKeys.Count == 0 || WrappingKey is not null, $"{nameof(FormerWrappingKeys)} needs {nameof(WrappingKey)}.");
        Check(WrappingKeyRotationDays is null or (>= 90 and <= 2560), $"{nameof(WrappingKeyRotationDays)} must be 90 to 2560.");
        Check(DeletionWindowDays is >= 7 and <= 30, $"{nameof(DeletionWindowDays)} must be 7 to 30.");
        Check(AliasPrefix is null || AliasForm().IsMatch(AliasPrefix), $"{nameof(AliasPrefix)} must be 1 to 128 of a-z, A-Z, 0-9, '/', '_' and '-', and not begin with aws/.");
        Check(KeyPolicy is null or { Length: <= 32 * 1024 }, $"{nameof(KeyPolicy)} must be at most 32 KB.");
        Check(
            Tags.Count <= 20 && Tags.All(t => TagForm().IsMatch(t.Key) && t.Value.Length <= 256 && (t.Value.Length == 0 || TagForm().IsMatch(t.Value))),
            $"{nameof(Tags)} must be at most 20, of the characters that AWS allows.");
        Check(UnrecordedKeysLimit is >= 1 and <= 1_000, $"{nameof(UnrecordedKeysLimit)} must be 1 to 1,000.");
        Check(StateSurveySeconds is >= 1 and <= 86_400, $"{nameof(StateSurveySeconds)} must be 1 to 86,400.");
        Check(CallTimeoutMilliseconds is >= 100 and <= 120_000, $"{nameof(CallTimeoutMilliseconds)} must be 100 to 120,000.");
        Check(ConnectionLimit is >= 1 and <= 10_000, $"{nameof(ConnectionLimit)} must be 1 to 10,000.");
        Check(
            QuotaPerSecond.Keys.All(Families.Contains),
            $"{nameof(QuotaPerSecond)} knows {string.Join(", ", Families.Order(StringComparer.Ordinal))}.");
        faults.AddRange(ToBudgets().Validate().Select(fault => $"{nameof(QuotaPerSecond)}: {fault}"));
        return faults;
    }

    [GeneratedRegex(@"^(?:[a-z]+-){2,3}\d+\z", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex RegionForm();

    [GeneratedRegex(@"^[a-zA-Z0-9._-]{1,64}\z", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex InstallationForm();

    [GeneratedRegex(@"^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}\z", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex RoleForm();

    [GeneratedRegex("^(?!aws/)[a-zA-Z0-9/_-]{1,128}\\z", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex AliasForm();

    [GeneratedRegex(@"^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,256}\z", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex TagForm();
}
