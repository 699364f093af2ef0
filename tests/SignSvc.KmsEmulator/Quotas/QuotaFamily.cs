using SignSvc.Emulation.Keys;

namespace SignSvc.Emulation.Quotas;

/// <summary>
/// Names of the shared quotas. Every other operation has a quota of its own, named like the operation;
/// GenerateDataKeyPair has one for each key pair spec.
/// </summary>
public static class QuotaFamily
{
    /// <summary>Sign, Verify, Encrypt, Decrypt, ReEncrypt with RSA keys.</summary>
    public const string Rsa = "RSA";

    /// <summary>Sign and Verify with ECC keys.</summary>
    public const string Ecc = "ECC";

    /// <summary>Encrypt, Decrypt, ReEncrypt, GenerateDataKey with symmetric keys, and GenerateRandom.</summary>
    public const string Symmetric = "SYMMETRIC";

    internal static string Of(KeyKind kind) =>
        kind switch
        {
            KeyKind.Rsa => Rsa,
            KeyKind.Ecc => Ecc,
            _ => Symmetric,
        };

    internal static string OfDataKeyPair(KeySpec spec) => $"GenerateDataKeyPair.{spec.Name}";
}
