using System.Security.Cryptography;
using System.Text.Json;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tests.Vectors;

namespace SignSvc.Signing.Tests.Keys;

public sealed class PublicKeyTests
{
    public static TheoryData<string> AllSpecs => [.. KeySpec.All.Select(s => s.Name)];

    /// <summary>RFC 7638 section 3.1, and the proof key of RFC 9449 section 4.2 with its <c>jkt</c> of section 6.1.</summary>
    [Theory]
    [InlineData(
        """{"kty":"RSA","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}""",
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")]
    [InlineData(
        """{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}""",
        "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I")]
    public void The_kid_is_the_published_thumbprint(string jwk, string thumbprint) =>
        Assert.Equal(thumbprint, Jwk.ToPublicKey(JsonElement.Parse(jwk)).Kid);

    [Theory]
    [MemberData(nameof(AllSpecs))]
    public void A_key_of_every_spec_is_read_and_verifies(string specName)
    {
        var spec = KeySpec.Parse(specName);
        using var pair = Pair.Of(spec);
        var key = PublicKey.FromSpki(pair.Spki);

        Assert.Same(spec, key.Spec);
        Assert.Equal(pair.Spki, key.Spki.ToArray());
        Assert.Equal(pair.Spki, PublicKey.FromSpki(PemBytes(key.ToPem())).Spki.ToArray());
        foreach (var algorithm in spec.Algorithms)
        {
            var digest = RandomNumberGenerator.GetBytes(algorithm.DigestLength);
            var signature = pair.Sign(algorithm, digest);
            Assert.True(key.Verify(algorithm, digest, signature));

            // Only this algorithm, this digest, this signature and these lengths.
            Assert.All(SigningAlgorithm.All.Where(a => a != algorithm), other => Assert.False(key.Verify(other, digest, signature)));
            Assert.False(key.Verify(algorithm, RandomNumberGenerator.GetBytes(algorithm.DigestLength), signature));
            Assert.False(key.Verify(algorithm, digest.AsSpan(1), signature));
            Assert.False(key.Verify(algorithm, digest, [.. signature, 0]));
            Assert.False(key.Verify(algorithm, digest, [0, .. signature]));
            Assert.False(key.Verify(algorithm, digest, signature.AsSpan(1)));
            Assert.False(key.Verify(algorithm, digest, []));
            Assert.False(key.Verify(algorithm, digest, new byte[signature.Length]));
        }
    }

    [Theory]
    [MemberData(nameof(AllSpecs))]
    public void A_key_that_is_cut_or_followed_by_bytes_is_refused(string specName)
    {
        using var pair = Pair.Of(KeySpec.Parse(specName));
        for (var length = 0; length < pair.Spki.Length; length++)
            AssertRefused(pair.Spki.AsSpan(0, length));
        AssertRefused([.. pair.Spki, 0]);
        AssertRefused([.. pair.Spki, .. pair.Spki]);
    }

    /// <summary>Whatever the bytes, the answer is a key or the one fault: no other exception comes out.</summary>
    [Fact]
    public void Garbage_is_refused_and_a_damaged_key_never_surprises()
    {
        var random = new SeededRandom(1);
        var garbage = new byte[300];
        for (var i = 0; i < 2_000; i++)
        {
            random.Fill(garbage);
            AssertRefused(garbage.AsSpan(0, i % garbage.Length));
        }

        foreach (var spec in new[] { KeySpec.P256, KeySpec.P521, KeySpec.Rsa2048 })
        {
            using var pair = Pair.Of(spec);
            var kid = PublicKey.FromSpki(pair.Spki).Kid;
            for (var bit = 0; bit < pair.Spki.Length * 8; bit++)
            {
                var damaged = pair.Spki.ToArray();
                damaged[bit / 8] ^= (byte)(1 << (bit % 8));
                try
                {
                    // Still a key: what is held and served is its one canonical encoding, not the bytes that came.
                    var read = PublicKey.FromSpki(damaged);
                    Assert.Equal(read.Spki.ToArray(), PublicKey.FromSpki(read.Spki.Span).Spki.ToArray());
                    Assert.Equal(read.Spki.Span.SequenceEqual(pair.Spki), string.Equals(read.Kid, kid, StringComparison.Ordinal));
                }
                catch (SigningException e)
                {
                    Assert.Equal(SigningFault.InvalidRequest, e.Fault);
                }
            }
        }
    }

    [Fact]
    public void Keys_of_no_known_spec_are_refused()
    {
        using var small = RSA.Create(1024);
        AssertRefused(small.ExportSubjectPublicKeyInfo());
        using var odd = RSA.Create(2056);
        AssertRefused(odd.ExportSubjectPublicKeyInfo());
        using var pair = RSA.Create(2048);
        AssertRefused(WithExponent(pair, [3]));
        AssertRefused(WithExponent(pair, [1, 0, 3]));
        // secp256k1, as wide as P-256 and another curve.
        using var koblitz = ECDsa.Create(ECCurve.CreateFromValue("1.3.132.0.10"));
        AssertRefused(koblitz.ExportSubjectPublicKeyInfo());
        // RFC 8410 section 10.1: an Ed25519 key.
        AssertRefused(Convert.FromBase64String("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="));
    }

    [Fact]
    public void A_private_key_is_not_taken_for_a_public_one()
    {
        using var ec = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        AssertRefused(ec.ExportPkcs8PrivateKey());
        AssertRefused(ec.ExportECPrivateKey());
        using var rsa = RSA.Create(2048);
        AssertRefused(rsa.ExportPkcs8PrivateKey());
        AssertRefused(rsa.ExportRSAPrivateKey());
        AssertRefused(rsa.ExportRSAPublicKey());
    }

    [Fact]
    public void A_point_off_the_curve_or_at_infinity_is_refused()
    {
        using var pair = Pair.Of(KeySpec.P256);
        var offCurve = pair.Spki.ToArray();
        offCurve[^1] ^= 1;
        AssertRefused(offCurve);
        // The header of a P-256 key with a bit string of one byte 00: the point at infinity.
        AssertRefused(Convert.FromHexString("3019301306072A8648CE3D020106082A8648CE3D03010703020000"));
    }

    private static byte[] WithExponent(RSA pair, byte[] exponent)
    {
        using var changed = RSA.Create(new RSAParameters { Modulus = pair.ExportParameters(false).Modulus, Exponent = exponent });
        return changed.ExportSubjectPublicKeyInfo();
    }

    private static byte[] PemBytes(string pem)
    {
        Assert.True(PemEncoding.TryFind(pem, out var fields));
        Assert.Equal("PUBLIC KEY", pem[fields.Label]);
        return Convert.FromBase64String(pem[fields.Base64Data]);
    }

    private static void AssertRefused(ReadOnlySpan<byte> spki)
    {
        var bytes = spki.ToArray();
        Assert.Equal(SigningFault.InvalidRequest, Assert.Throws<SigningException>(() => PublicKey.FromSpki(bytes)).Fault);
    }
}

/// <summary>A key pair of the platform itself, to check the domain against.</summary>
internal sealed class Pair(AsymmetricAlgorithm key) : IDisposable
{
    public byte[] Spki { get; } = key.ExportSubjectPublicKeyInfo();

    public static Pair Of(KeySpec spec) =>
        new(spec.Family == KeyFamily.Ecc ? ECDsa.Create(spec.Curve) : RSA.Create(spec.Bits));

    public byte[] Sign(SigningAlgorithm algorithm, byte[] digest) => key switch
    {
        ECDsa ec => ec.SignHash(digest, DSASignatureFormat.IeeeP1363FixedFieldConcatenation),
        RSA rsa => rsa.SignHash(digest, algorithm.Hash, algorithm.RsaPadding!),
        _ => throw new NotSupportedException(),
    };

    public void Dispose() => key.Dispose();
}
