using System.Formats.Asn1;
using System.Numerics;
using System.Security.Cryptography;

namespace SignSvc.Signing.Tests.Keys.Import;

/// <summary>RSA keys of chosen primes: the bad ones that no library makes.</summary>
internal static class Primes
{
    private static readonly int[] Small = [.. Enumerable.Range(3, 2000).Where(n => !Enumerable.Range(2, (int)Math.Sqrt(n) - 1).Any(d => n % d == 0))];

    /// <summary>Made by the platform, with its two highest bits set.</summary>
    public static BigInteger Random(int bits)
    {
        using var rsa = RSA.Create(bits * 2);
        return Number(rsa.ExportParameters(includePrivateParameters: true).P!);
    }

    /// <summary>Of which each of these primes may be the exponent.</summary>
    public static BigInteger RandomFor(int bits, params int[] exponents)
    {
        var prime = Random(bits);
        return Array.TrueForAll(exponents, e => prime % e != 1) ? prime : RandomFor(bits, exponents);
    }

    public static BigInteger Next(BigInteger from)
    {
        var candidate = from | 1;
        while (!IsPrime(candidate) || (candidate - 1) % 65537 == 0)
            candidate += 2;
        return candidate;
    }

    /// <summary>k·M + (65537^a mod M), M the product of the primes up to 167.</summary>
    public static BigInteger Roca(int bits)
    {
        var product = Small.Where(p => p <= 167).Aggregate(new BigInteger(2), (a, b) => a * b);
        while (true)
        {
            var top = Number(RandomNumberGenerator.GetBytes(bits / 8)) | (BigInteger.Pow(2, bits - 1) + BigInteger.Pow(2, bits - 2));
            var power = BigInteger.ModPow(65537, Number(RandomNumberGenerator.GetBytes(16)), product);
            var candidate = (top / product * product) + power;
            if (candidate.GetBitLength() == bits && IsPrime(candidate) && candidate % 65537 != 1)
                return candidate;
        }
    }

    /// <summary>RFC 8017 appendix A.1.2 inside RFC 5208.</summary>
    public static byte[] Pkcs8(BigInteger p, BigInteger q, int exponent = 65537)
    {
        var d = Inverse(exponent, (p - 1) * (q - 1));
        var key = new AsnWriter(AsnEncodingRules.DER);
        using (key.PushSequence())
        {
            foreach (var number in new[] { 0, p * q, exponent, d, p, q, d % (p - 1), d % (q - 1), Inverse(q, p) })
                key.WriteInteger(number);
        }

        var pkcs8 = new AsnWriter(AsnEncodingRules.DER);
        using (pkcs8.PushSequence())
        {
            pkcs8.WriteInteger(0);
            using (pkcs8.PushSequence())
            {
                pkcs8.WriteObjectIdentifier("1.2.840.113549.1.1.1");
                pkcs8.WriteNull();
            }

            pkcs8.WriteOctetString(key.Encode());
        }

        return pkcs8.Encode();
    }

    /// <summary>Fermat's test to the base 2 after trial division: enough for numbers that nobody chose to deceive it.</summary>
    private static bool IsPrime(BigInteger n) =>
        !Array.Exists(Small, p => n % p == 0) && BigInteger.ModPow(2, n - 1, n).IsOne;

    private static BigInteger Inverse(BigInteger a, BigInteger modulus)
    {
        var (r, next, t, nextT) = (modulus, a % modulus, BigInteger.Zero, BigInteger.One);
        while (!next.IsZero)
        {
            var quotient = r / next;
            (r, next) = (next, r - (quotient * next));
            (t, nextT) = (nextT, t - (quotient * nextT));
        }

        Assert.True(r.IsOne, "The exponent has no inverse: choose other primes.");
        return t.Sign < 0 ? t + modulus : t;
    }

    private static BigInteger Number(byte[] bytes) => new(bytes, isUnsigned: true, isBigEndian: true);
}
