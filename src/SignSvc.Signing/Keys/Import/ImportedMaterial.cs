using System.Security.Cryptography;

namespace SignSvc.Signing.Keys.Import;

/// <summary>
/// A private key from outside, looked over before a backend gets it. What is made here needs none of this; of what was
/// made elsewhere nothing is taken for granted.
/// </summary>
public static class ImportedMaterial
{
    /// <param name="pkcs8">DER PKCS#8 (RFC 5208), not encrypted.</param>
    /// <param name="others">Every public key that is known here, of this key and of all others.</param>
    /// <returns>The public half.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: another spec, halves that do not fit, or a weak key; the message says which.</exception>
    public static PublicKey Check(ReadOnlySpan<byte> pkcs8, KeySpec spec, KnownBadKeys knownBad, IEnumerable<PublicKey> others)
    {
        using var key = Open(pkcs8, spec);
        var publicKey = PublicKey.FromSpki(key.ExportSubjectPublicKeyInfo());
        if (publicKey.Spec != spec)
            throw Refused($"it is a {publicKey.Spec} key and not a {spec} key");
        if (knownBad.Contains(publicKey))
            throw Refused("its private half is published: it is on the list of known keys");
        if (key is ECDsa ec)
            WeakKeys.Refuse(ec, spec);
        else
            WeakKeys.Refuse((RSA)key);
        RefuseIfHalvesDiffer(key, publicKey);
        RefuseIfKnownHere(publicKey, others);
        return publicKey;
    }

    internal static SigningException Refused(string reason, Exception? inner = null) =>
        new(SigningFault.InvalidRequest, $"The key material is refused: {reason}.", inner);

    private static AsymmetricAlgorithm Open(ReadOnlySpan<byte> pkcs8, KeySpec spec)
    {
        AsymmetricAlgorithm key = spec.Family == KeyFamily.Ecc ? ECDsa.Create() : RSA.Create();
        try
        {
            key.ImportPkcs8PrivateKey(pkcs8, out var read);
            if (read == pkcs8.Length)
                return key;
            throw new CryptographicException("Bytes follow the PKCS#8.");
        }
        // The platform refuses a point that is off its curve as PlatformNotSupportedException.
        catch (Exception e) when (e is CryptographicException or PlatformNotSupportedException)
        {
            key.Dispose();
            throw Refused($"it is not the DER PKCS#8 of a {spec} key, or its parts do not belong together", e);
        }
    }

    /// <summary>A signature of the private half has to verify with the public half alone.</summary>
    private static void RefuseIfHalvesDiffer(AsymmetricAlgorithm key, PublicKey publicKey)
    {
        var algorithm = publicKey.Spec.Algorithms[0];
        var digest = RandomNumberGenerator.GetBytes(algorithm.DigestLength);
        try
        {
            var signature = key is ECDsa ec
                ? ec.SignHash(digest, DSASignatureFormat.IeeeP1363FixedFieldConcatenation)
                : ((RSA)key).SignHash(digest, algorithm.Hash, algorithm.RsaPadding!);
            if (publicKey.Verify(algorithm, digest, signature))
                return;
        }
        catch (CryptographicException e)
        {
            throw Refused("it does not sign", e);
        }

        throw Refused("its private half does not belong to its public half");
    }

    private static void RefuseIfKnownHere(PublicKey publicKey, IEnumerable<PublicKey> others)
    {
        var isRsa = publicKey.Spec.Family == KeyFamily.Rsa;
        var modulus = isRsa ? WeakKeys.Modulus(publicKey) : default;
        foreach (var other in others)
        {
            if (string.Equals(other.Kid, publicKey.Kid, StringComparison.Ordinal))
                throw Refused("a version of a key has it already, and material is used once");
            if (isRsa && other.Spec.Family == KeyFamily.Rsa && WeakKeys.SharePrime(modulus, WeakKeys.Modulus(other)))
                throw Refused("it shares a prime with another key, and so both are broken");
        }
    }
}
