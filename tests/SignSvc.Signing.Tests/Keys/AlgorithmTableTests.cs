using System.Security.Cryptography;
using System.Text;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Keys;

/// <summary>Specs and algorithms as AWS KMS and RFC 7518 have them. The expected tables are written out, not computed.</summary>
public sealed class AlgorithmTableTests
{
    /// <summary>Spec, family, bits, field bytes, signature bytes, JWK curve, algorithms in order.</summary>
    public static TheoryData<string, KeyFamily, int, int, int, string?, string> Specs => new()
    {
        { "RSA_2048", KeyFamily.Rsa, 2048, 256, 256, null, "RS256 RS384 RS512 PS256 PS384 PS512" },
        { "RSA_3072", KeyFamily.Rsa, 3072, 384, 384, null, "RS256 RS384 RS512 PS256 PS384 PS512" },
        { "RSA_4096", KeyFamily.Rsa, 4096, 512, 512, null, "RS256 RS384 RS512 PS256 PS384 PS512" },
        { "ECC_NIST_P256", KeyFamily.Ecc, 256, 32, 64, "P-256", "ES256" },
        { "ECC_NIST_P384", KeyFamily.Ecc, 384, 48, 96, "P-384", "ES384" },
        { "ECC_NIST_P521", KeyFamily.Ecc, 521, 66, 132, "P-521", "ES512" },
    };

    /// <summary>JWA name, AWS KMS name, family, digest bytes, SHA of "abc" (FIPS 180-4's example) as it begins, PSS or not.</summary>
    public static TheoryData<string, string, KeyFamily, int, string, bool> Algorithms => new()
    {
        { "RS256", "RSASSA_PKCS1_V1_5_SHA_256", KeyFamily.Rsa, 32, "BA7816BF", false },
        { "RS384", "RSASSA_PKCS1_V1_5_SHA_384", KeyFamily.Rsa, 48, "CB00753F", false },
        { "RS512", "RSASSA_PKCS1_V1_5_SHA_512", KeyFamily.Rsa, 64, "DDAF35A1", false },
        { "PS256", "RSASSA_PSS_SHA_256", KeyFamily.Rsa, 32, "BA7816BF", true },
        { "PS384", "RSASSA_PSS_SHA_384", KeyFamily.Rsa, 48, "CB00753F", true },
        { "PS512", "RSASSA_PSS_SHA_512", KeyFamily.Rsa, 64, "DDAF35A1", true },
        { "ES256", "ECDSA_SHA_256", KeyFamily.Ecc, 32, "BA7816BF", false },
        { "ES384", "ECDSA_SHA_384", KeyFamily.Ecc, 48, "CB00753F", false },
        { "ES512", "ECDSA_SHA_512", KeyFamily.Ecc, 64, "DDAF35A1", false },
    };

    [Theory]
    [MemberData(nameof(Specs))]
    public void A_spec_has_its_sizes_and_algorithms(
        string name, KeyFamily family, int bits, int fieldLength, int signatureLength, string? curve, string algorithms)
    {
        var spec = KeySpec.Parse(name);

        Assert.Equal(
            (name, family, bits, fieldLength, signatureLength, curve),
            (spec.Name, spec.Family, spec.Bits, spec.FieldLength, spec.SignatureLength, spec.JwkCurve));
        Assert.Equal(algorithms, string.Join(' ', spec.Algorithms));
        Assert.All(SigningAlgorithm.All, a => Assert.Equal(algorithms.Split(' ').Contains(a.Name, StringComparer.Ordinal), spec.CanSignWith(a)));
    }

    [Theory]
    [MemberData(nameof(Algorithms))]
    public void An_algorithm_has_its_names_digest_and_padding(
        string name, string kmsName, KeyFamily family, int digestLength, string digestOfAbc, bool isPss)
    {
        var algorithm = SigningAlgorithm.Parse(name);

        Assert.Same(algorithm, SigningAlgorithm.Parse(kmsName));
        Assert.Equal((name, kmsName, family, digestLength), (algorithm.Name, algorithm.KmsName, algorithm.Family, algorithm.DigestLength));
        var digest = algorithm.HashData(Encoding.ASCII.GetBytes("abc"));
        Assert.Equal(digestLength, digest.Length);
        Assert.StartsWith(digestOfAbc, Convert.ToHexString(digest), StringComparison.Ordinal);
        RSASignaturePadding? padding = family == KeyFamily.Ecc ? null : isPss ? RSASignaturePadding.Pss : RSASignaturePadding.Pkcs1;
        Assert.Equal(padding, algorithm.RsaPadding);
    }

    [Fact]
    public void The_tables_here_are_complete()
    {
        Assert.Equal(string.Join(' ', KeySpec.All), string.Join(' ', Specs.Select(row => row.Data.Item1)));
        Assert.Equal(string.Join(' ', SigningAlgorithm.All), string.Join(' ', Algorithms.Select(row => row.Data.Item1)));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("none")]
    [InlineData("None")]
    [InlineData("HS256")]
    [InlineData("es256")]
    [InlineData("ES256 ")]
    [InlineData(" ES256")]
    [InlineData("ES256\0")]
    [InlineData("ES256K")]
    [InlineData("EdDSA")]
    [InlineData("ecdsa_sha_256")]
    [InlineData("SHA_256")]
    public void A_name_that_is_not_an_algorithms_own_is_unknown(string? name)
    {
        Assert.False(SigningAlgorithm.TryParse(name, out _));
        Assert.Equal(SigningFault.UnknownAlgorithm, Assert.Throws<SigningException>(() => SigningAlgorithm.Parse(name)).Fault);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("RSA_1024")]
    [InlineData("rsa_2048")]
    [InlineData("RSA_2048 ")]
    [InlineData("ECC_SECG_P256K1")]
    [InlineData("P-256")]
    [InlineData("SYMMETRIC_DEFAULT")]
    public void A_name_that_is_not_a_specs_own_is_invalid(string? name)
    {
        Assert.False(KeySpec.TryParse(name, out _));
        Assert.Equal(SigningFault.InvalidRequest, Assert.Throws<SigningException>(() => KeySpec.Parse(name)).Fault);
    }
}
