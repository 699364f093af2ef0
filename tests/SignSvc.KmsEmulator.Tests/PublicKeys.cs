using System.Security.Cryptography;

namespace SignSvc.Emulation.Tests;

/// <summary>Verifies signatures apart from the emulator, with nothing but the public key.</summary>
internal static class PublicKeys
{
    public static bool Verify(byte[] spki, string algorithm, byte[] digest, byte[] signature)
    {
        if (algorithm.StartsWith("ECDSA", StringComparison.Ordinal))
        {
            using var ecdsa = ECDsa.Create();
            ecdsa.ImportSubjectPublicKeyInfo(spki, out _);
            return ecdsa.VerifyHash(digest, signature, DSASignatureFormat.Rfc3279DerSequence);
        }

        using var rsa = RSA.Create();
        rsa.ImportSubjectPublicKeyInfo(spki, out _);
        var padding = algorithm.Contains("PSS", StringComparison.Ordinal)
            ? RSASignaturePadding.Pss
            : RSASignaturePadding.Pkcs1;
        return rsa.VerifyHash(digest, signature, new HashAlgorithmName($"SHA{algorithm[^3..]}"), padding);
    }
}
