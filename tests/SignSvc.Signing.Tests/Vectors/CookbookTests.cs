using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Vectors;

/// <summary>RFC 7520's keys and signatures, as the working group publishes them.</summary>
public sealed class CookbookTests
{
    [Theory]
    [InlineData("cookbook_jwk_3_1.ec_public_key.json", "ECC_NIST_P521")]
    [InlineData("cookbook_jwk_3_3.rsa_public_key.json", "RSA_2048")]
    public void A_published_JWK_is_written_member_for_member(string file, string spec)
    {
        var published = PublishedVectors.Read(file);

        var key = Jwk.ToPublicKey(published);

        Assert.Equal(spec, key.Spec.Name);
        var written = Jwk.Write(key);
        var expected = published.EnumerateObject().Where(m => m.Name is not ("kid" or "use")).ToArray();
        Assert.Equal(expected.Select(m => m.Name).ToHashSet(StringComparer.Ordinal), written.EnumerateObject().Select(m => m.Name).ToHashSet(StringComparer.Ordinal));
        Assert.All(expected, member => Assert.Equal(member.Value.GetString(), written.GetProperty(member.Name).GetString()));
    }

    [Theory]
    [InlineData("cookbook_jws_4_1.rsa_v15_signature.json", "RS256")]
    [InlineData("cookbook_jws_4_2.rsa-pss_signature.json", "PS384")]
    [InlineData("cookbook_jws_4_3.ecdsa_signature.json", "ES512")]
    public void A_published_JWS_verifies_and_with_a_flipped_bit_does_not(string file, string algorithmName)
    {
        var example = PublishedVectors.Read(file);
        var algorithm = SigningAlgorithm.Parse(example.GetProperty("input").GetProperty("alg").GetString());
        Assert.Equal(algorithmName, algorithm.Name);
        var key = Jwk.ToPublicKey(example.GetProperty("input").GetProperty("key"));
        var signing = example.GetProperty("signing");
        var digest = algorithm.HashData(Encoding.ASCII.GetBytes(signing.GetProperty("sig-input").GetString()!));
        var signature = Base64Url.DecodeFromChars(signing.GetProperty("sig").GetString());

        Assert.True(key.Verify(algorithm, digest, signature));

        for (var i = 0; i < signature.Length; i++)
        {
            var forged = signature.ToArray();
            forged[i] ^= (byte)(1 << (i % 8));
            Assert.False(key.Verify(algorithm, digest, forged), $"bit {i % 8} of byte {i} flipped");
        }
    }
}

/// <summary>JWKs (RFC 7518 section 6) to keys and back, by the platform's own import.</summary>
internal static class Jwk
{
    public static PublicKey ToPublicKey(JsonElement jwk)
    {
        if (jwk.GetProperty("kty").ValueEquals("RSA"))
        {
            using var rsa = RSA.Create(new RSAParameters { Modulus = Bytes(jwk, "n"), Exponent = Bytes(jwk, "e") });
            return PublicKey.FromSpki(rsa.ExportSubjectPublicKeyInfo());
        }

        using var ec = ECDsa.Create(new ECParameters
        {
            Curve = ECCurve.CreateFromFriendlyName($"nist{jwk.GetProperty("crv").GetString()!.Replace("-", "", StringComparison.Ordinal)}"),
            Q = new ECPoint { X = Bytes(jwk, "x"), Y = Bytes(jwk, "y") },
        });
        return PublicKey.FromSpki(ec.ExportSubjectPublicKeyInfo());
    }

    public static JsonElement Write(PublicKey key)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            key.WriteJwkMembers(writer);
            writer.WriteEndObject();
        }

        return JsonElement.Parse(buffer.ToArray());
    }

    private static byte[] Bytes(JsonElement jwk, string member) => Base64Url.DecodeFromChars(jwk.GetProperty(member).GetString());
}
