using System.Collections.Concurrent;

namespace SignSvc.Emulation.Quotas;

/// <summary>
/// Request quotas for each account, Region and family, as token buckets that hold one second's worth. They start at
/// the published default quotas and may be changed while requests run. A throttled request costs nothing.
/// </summary>
public sealed class RequestQuotas(TimeProvider clock)
{
    private static readonly Dictionary<string, double> Defaults = new(StringComparer.Ordinal)
    {
        [QuotaFamily.Rsa] = 1000,
        [QuotaFamily.Ecc] = 1000,
        [QuotaFamily.Symmetric] = 10_000,
        ["GenerateDataKeyPair.RSA_2048"] = 20,
        ["GenerateDataKeyPair.RSA_3072"] = 4,
        ["GenerateDataKeyPair.RSA_4096"] = 1,
        ["GenerateDataKeyPair.ECC_NIST_P256"] = 100,
        ["GenerateDataKeyPair.ECC_NIST_P384"] = 100,
        ["GenerateDataKeyPair.ECC_NIST_P521"] = 100,
        ["GenerateDataKeyPair.ECC_SECG_P256K1"] = 100,
        ["CancelKeyDeletion"] = 5,
        ["CreateAlias"] = 5,
        ["CreateGrant"] = 50,
        ["CreateKey"] = 5,
        ["DeleteAlias"] = 15,
        ["DeleteImportedKeyMaterial"] = 15,
        ["DescribeKey"] = 2000,
        ["DisableKey"] = 5,
        ["DisableKeyRotation"] = 5,
        ["EnableKey"] = 5,
        ["EnableKeyRotation"] = 15,
        ["GetKeyPolicy"] = 1000,
        ["GetKeyRotationStatus"] = 1000,
        ["GetParametersForImport"] = 1,
        ["GetPublicKey"] = 2000,
        ["ImportKeyMaterial"] = 15,
        ["ListAliases"] = 500,
        ["ListGrants"] = 100,
        ["ListKeyPolicies"] = 100,
        ["ListKeyRotations"] = 100,
        ["ListKeys"] = 500,
        ["ListResourceTags"] = 2000,
        ["ListRetirableGrants"] = 100,
        ["PutKeyPolicy"] = 15,
        ["ReplicateKey"] = 5,
        ["RetireGrant"] = 50,
        ["RevokeGrant"] = 50,
        ["RotateKeyOnDemand"] = 5,
        ["ScheduleKeyDeletion"] = 15,
        ["TagResource"] = 10,
        ["UntagResource"] = 5,
        ["UpdateAlias"] = 5,
        ["UpdateKeyDescription"] = 5,
        ["UpdatePrimaryRegion"] = 5,
    };

    private readonly ConcurrentDictionary<string, double> _rates = new(Defaults, StringComparer.Ordinal);
    private readonly ConcurrentDictionary<(string Account, string Region, string Family), TokenBucket> _buckets = new();

    /// <summary>False lets every request pass.</summary>
    public bool Enforced { get; set; } = true;

    /// <summary>Requests per second of every family. The set is closed: a name that is not in it is an error.</summary>
    public IReadOnlyDictionary<string, double> Rates => _rates;

    /// <summary>
    /// Sets requests per second of a family, in all accounts and Regions; buckets keep what they hold.
    /// </summary>
    public void Set(string family, double perSecond)
    {
        if (!Defaults.ContainsKey(family))
            throw new ArgumentException($"Unknown quota family {family}.", nameof(family));
        ArgumentOutOfRangeException.ThrowIfLessThan(perSecond, 0);
        _rates[family] = perSecond;
    }

    public bool TryTake(string account, string region, string family) =>
        !Enforced
        || _buckets
            .GetOrAdd((account, region, family), static (_, c) => new TokenBucket(c), clock)
            .TryTake(_rates[family]);
}
