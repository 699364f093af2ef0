using System.Numerics;
using System.Security.Cryptography;

namespace SignSvc.Signing.Keys.Import;

/// <summary>
/// Keys whose private half can be found from the public one. Public values are reckoned with as numbers; private ones
/// stay bytes, because a number cannot be zeroed.
/// </summary>
public static class WeakKeys
{
    /// <summary>A random scalar or prime difference begins with so many zero bits by a chance of 2⁻⁶⁴ at the most.</summary>
    private const int ZeroBits = 64;

    /// <summary>FIPS 186-5 appendix A.1.3: the primes differ in their first 100 bits. Closer ones are what Fermat's method finds.</summary>
    private const int PrimeDifferenceBits = 100;

    private static readonly (int Prime, bool[] IsPowerOf65537)[] Fingerprint = MakeFingerprint();

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public static void Refuse(ECDsa key, KeySpec spec)
    {
        var parameters = key.ExportParameters(includePrivateParameters: true);
        var order = key.ExportExplicitParameters(includePrivateParameters: false).Curve.Order!;
        var scalar = LeftPadded(parameters.D!, order.Length);
        var fromAbove = new byte[order.Length];
        try
        {
            Subtract(order, scalar, fromAbove);
            // Both 1 and n − 1 are among them: the public key would be the generator or its mirror image.
            var unused = (order.Length * 8) - spec.Bits;
            if (LeadingZeroBits(scalar) >= ZeroBits + unused || LeadingZeroBits(fromAbove) >= ZeroBits + unused)
                throw ImportedMaterial.Refused("its private scalar is next to 0 or to the order of the curve");
        }
        finally
        {
            CryptographicOperations.ZeroMemory(parameters.D);
            CryptographicOperations.ZeroMemory(scalar);
            CryptographicOperations.ZeroMemory(fromAbove);
        }
    }

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public static void Refuse(RSA key)
    {
        var parameters = key.ExportParameters(includePrivateParameters: true);
        var length = parameters.Modulus!.Length / 2;
        var (p, q, difference) = (LeftPadded(parameters.P!, length), LeftPadded(parameters.Q!, length), new byte[length]);
        try
        {
            var isPFirst = p.AsSpan().SequenceCompareTo(q) >= 0;
            Subtract(isPFirst ? p : q, isPFirst ? q : p, difference);
            if (LeadingZeroBits(difference) >= PrimeDifferenceBits)
                throw ImportedMaterial.Refused("its primes are so close that Fermat's method finds them");
            if (LeadingZeroBits(parameters.D) >= parameters.Modulus.Length * 8 / 2)
                throw ImportedMaterial.Refused("its private exponent is small");
            if (HasRocaFingerprint(new BigInteger(parameters.Modulus, isUnsigned: true, isBigEndian: true)))
                throw ImportedMaterial.Refused("it has the fingerprint of ROCA (CVE-2017-15361)");
        }
        finally
        {
            foreach (var secret in (ReadOnlySpan<byte[]?>)[parameters.D, parameters.P, parameters.Q, parameters.DP, parameters.DQ, parameters.InverseQ, p, q, difference])
                CryptographicOperations.ZeroMemory(secret);
        }
    }

    /// <summary>
    /// Infineon's primes were k·M + (65537^a mod M), M the product of the first primes: modulo each of those the modulus is
    /// a power of 65537. Another modulus passes for one by a chance of about 2⁻²⁷.
    /// </summary>
    public static bool HasRocaFingerprint(BigInteger modulus) =>
        Fingerprint.All(f => f.IsPowerOf65537[(int)(modulus % f.Prime)]);

    public static bool SharePrime(BigInteger modulus, BigInteger other) =>
        modulus != other && !BigInteger.GreatestCommonDivisor(modulus, other).IsOne;

    public static BigInteger Modulus(PublicKey key)
    {
        using var rsa = RSA.Create();
        rsa.ImportSubjectPublicKeyInfo(key.Spki.Span, out _);
        return new BigInteger(rsa.ExportParameters(includePrivateParameters: false).Modulus, isUnsigned: true, isBigEndian: true);
    }

    private static (int, bool[])[] MakeFingerprint()
    {
        const int lastPrime = 167;
        return [.. Enumerable.Range(3, lastPrime - 2).Where(IsPrime).Select(prime =>
        {
            var isPower = new bool[prime];
            for (var power = 1; !isPower[power]; power = power * 65537 % prime)
                isPower[power] = true;
            return (prime, isPower);
        })];

        static bool IsPrime(int n) => !Enumerable.Range(2, n - 2).Any(d => n % d == 0);
    }

    private static byte[] LeftPadded(byte[] number, int length)
    {
        var padded = new byte[length];
        number.CopyTo(padded.AsSpan(length - number.Length));
        return padded;
    }

    /// <summary>Big-endian, all of one length, a ≥ b.</summary>
    private static void Subtract(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, Span<byte> difference)
    {
        var borrow = 0;
        for (var i = a.Length - 1; i >= 0; i--)
        {
            var digit = a[i] - b[i] - borrow;
            difference[i] = (byte)digit;
            borrow = digit < 0 ? 1 : 0;
        }
    }

    private static int LeadingZeroBits(ReadOnlySpan<byte> number)
    {
        var first = number.IndexOfAnyExcept((byte)0);
        return first < 0 ? number.Length * 8 : (first * 8) + BitOperations.LeadingZeroCount(number[first]) - 24;
    }
}
