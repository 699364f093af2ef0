using System.Numerics;
using System.Security.Cryptography;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Keys.Import;

namespace SignSvc.Signing.Tests.Keys.Import;

public sealed class ImportedMaterialTests
{
    private static readonly KnownBadKeys BuiltIn = KnownBadKeys.Parse([]);

    public static TheoryData<string> AllSpecs => [.. KeySpec.All.Select(s => s.Name)];

    [Theory]
    [MemberData(nameof(AllSpecs))]
    public void A_good_key_of_every_spec_is_taken_and_only_as_what_it_is(string specName)
    {
        var spec = KeySpec.Parse(specName);
        using AsymmetricAlgorithm key = spec.Family == KeyFamily.Ecc ? ECDsa.Create(spec.Curve) : RSA.Create(spec.Bits);
        var pkcs8 = key.ExportPkcs8PrivateKey();
        Assert.Equal(key.ExportSubjectPublicKeyInfo(), Check(pkcs8, spec).Spki.ToArray());

        foreach (var other in KeySpec.All.Where(s => s != spec))
            Refused(pkcs8, other, "key");
        Refused([.. pkcs8, 0], spec, "PKCS#8");
        Refused(pkcs8[..^1], spec, "PKCS#8");
        Refused(key.ExportSubjectPublicKeyInfo(), spec, "PKCS#8");
        Refused(RandomNumberGenerator.GetBytes(pkcs8.Length), spec, "PKCS#8");
        Refused([], spec, "PKCS#8");
    }

    /// <summary>RFC 6979 appendix A.2.5, A.2.6 and A.2.7.</summary>
    [Theory]
    [InlineData("ECC_NIST_P256", "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")]
    [InlineData("ECC_NIST_P384", "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5")]
    [InlineData("ECC_NIST_P521", "00FAD06DAA62BA3B25D2FB40133DA757205DE67F5BB0018FEE8C86E1B68C7E75CAA896EB32F1F47C70855836A6D16FCC1466F6D8FBEC67DB89EC0C08B0E996B83538")]
    public void A_published_key_is_refused(string spec, string scalar) =>
        Refused(OfScalar(KeySpec.Parse(spec), Convert.FromHexString(scalar)), KeySpec.Parse(spec), "published");

    [Fact]
    public void A_key_on_the_operators_list_is_refused()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var hash = Convert.ToHexString(SHA256.HashData(key.ExportSubjectPublicKeyInfo()));
        var list = KnownBadKeys.Parse(["# ours", "", $"  {hash} "]);
        Assert.Contains("published", Assert.Throws<SigningException>(
            () => ImportedMaterial.Check(key.ExportPkcs8PrivateKey(), KeySpec.P256, list, [])).Message, StringComparison.Ordinal);
        Assert.Contains("line 2", Assert.Throws<FormatException>(() => KnownBadKeys.Parse([hash, hash[1..]])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ECC_NIST_P256")]
    [InlineData("ECC_NIST_P384")]
    [InlineData("ECC_NIST_P521")]
    public void Scalars_next_to_zero_or_to_the_order_are_refused(string specName)
    {
        var spec = KeySpec.Parse(specName);
        using var any = ECDsa.Create(spec.Curve);
        var order = new BigInteger(any.ExportExplicitParameters(false).Curve.Order!, isUnsigned: true, isBigEndian: true);
        foreach (var near in new[] { 1, 2, BigInteger.Pow(2, spec.Bits - 65) })
        {
            Refused(OfScalar(spec, Bytes(near, spec.FieldLength)), spec, "scalar");
            Refused(OfScalar(spec, Bytes(order - near, spec.FieldLength)), spec, "scalar");
        }

        Check(OfScalar(spec, Bytes(BigInteger.Pow(2, spec.Bits - 60) + 12345, spec.FieldLength)), spec);
    }

    [Fact]
    public void A_private_half_of_another_public_half_is_refused()
    {
        using var one = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var publicPoint = (ECDsa key) => key.ExportSubjectPublicKeyInfo()[^64..];
        Refused(Replace(one.ExportPkcs8PrivateKey(), publicPoint(one), publicPoint(other)), KeySpec.P256, "belong");

        // A point off the curve.
        var bent = publicPoint(one);
        bent[63] ^= 1;
        Refused(Replace(one.ExportPkcs8PrivateKey(), publicPoint(one), bent), KeySpec.P256, "belong");
    }

    [Fact]
    public void Other_exponents_and_other_sizes_are_refused()
    {
        var (p, q) = (Primes.RandomFor(1024, 3, 65539), Primes.RandomFor(1024, 3, 65539));
        Refused(Primes.Pkcs8(p, q, exponent: 3), KeySpec.Rsa2048, "exponent");
        Refused(Primes.Pkcs8(p, q, exponent: 65539), KeySpec.Rsa2048, "exponent");
        Check(Primes.Pkcs8(p, q), KeySpec.Rsa2048);
        Assert.Throws<SigningException>(() => Check(Primes.Pkcs8(p, Primes.Random(1016)), KeySpec.Rsa2048));
    }

    [Fact]
    public void Primes_that_are_close_are_refused()
    {
        var p = Primes.Random(1024);
        Refused(Primes.Pkcs8(p, Primes.Next(p + BigInteger.Pow(2, 800))), KeySpec.Rsa2048, "Fermat");
        Refused(Primes.Pkcs8(Primes.Next(p + 2), p), KeySpec.Rsa2048, "Fermat");
    }

    [Fact]
    public void The_fingerprint_of_Roca_is_refused()
    {
        var (p, q) = (Primes.Roca(1024), Primes.Roca(1024));
        Assert.True(WeakKeys.HasRocaFingerprint(p * q));
        Refused(Primes.Pkcs8(p, q), KeySpec.Rsa2048, "ROCA");
        // One such prime alone is not found, and no ordinary modulus passes for one.
        Assert.All(Enumerable.Range(0, 1000), _ => Assert.False(
            WeakKeys.HasRocaFingerprint(new BigInteger(RandomNumberGenerator.GetBytes(256), isUnsigned: true) | 1)));
    }

    [Fact]
    public void A_key_that_shares_a_prime_with_another_and_a_key_that_is_here_already_are_refused()
    {
        var shared = Primes.Random(1024);
        var (first, second) = (Primes.Pkcs8(shared, Primes.Random(1024)), Primes.Pkcs8(Primes.Random(1024), shared));
        var here = Check(first, KeySpec.Rsa2048);
        Check(second, KeySpec.Rsa2048);
        Refused(second, KeySpec.Rsa2048, "shares a prime", here);
        Refused(first, KeySpec.Rsa2048, "used once", here);
    }

    private static PublicKey Check(byte[] pkcs8, KeySpec spec, params PublicKey[] others) =>
        ImportedMaterial.Check(pkcs8, spec, BuiltIn, others);

    private static void Refused(byte[] pkcs8, KeySpec spec, string why, params PublicKey[] others)
    {
        var refusal = Assert.Throws<SigningException>(() => Check(pkcs8, spec, others));
        Assert.Equal(SigningFault.InvalidRequest, refusal.Fault);
        Assert.Contains(why, refusal.Message, StringComparison.Ordinal);
    }

    private static byte[] OfScalar(KeySpec spec, byte[] scalar)
    {
        using var key = ECDsa.Create(new ECParameters { Curve = spec.Curve, D = scalar });
        return key.ExportPkcs8PrivateKey();
    }

    private static byte[] Bytes(BigInteger number, int length)
    {
        var bytes = number.ToByteArray(isUnsigned: true, isBigEndian: true);
        return [.. new byte[length - bytes.Length], .. bytes];
    }

    private static byte[] Replace(byte[] whole, byte[] part, byte[] by)
    {
        var at = whole.AsSpan().IndexOf(part);
        Assert.True(at >= 0);
        return [.. whole[..at], .. by, .. whole[(at + part.Length)..]];
    }
}
