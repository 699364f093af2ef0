using System.Security.Cryptography;
using SignSvc.Signing.Keys.Import;

namespace SignSvc.Signing.Tests.Keys.Import;

public sealed class WrappedMaterialTests
{
    private static readonly RSA Wrapping = RSA.Create(WrappedMaterial.WrappingKeyBits);

    /// <summary>RFC 5649 section 6.</summary>
    [Theory]
    [InlineData("c37b7e6492584340bed12207808941155068f738", "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a")]
    [InlineData("466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f")]
    public void Key_wrap_with_padding_opens_the_published_vectors(string plain, string wrapped)
    {
        var key = Convert.FromHexString("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8");
        Assert.Equal(plain, Convert.ToHexStringLower(WrappedMaterial.UnwrapWithPadding(key, Convert.FromHexString(wrapped))));
    }

    [Fact]
    public void Key_wrap_with_padding_refuses_every_flipped_bit_and_every_other_length()
    {
        var key = Convert.FromHexString("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8");
        var wrapped = Convert.FromHexString("138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a");
        for (var bit = 0; bit < wrapped.Length * 8; bit++)
        {
            var flipped = wrapped.ToArray();
            flipped[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.ThrowsAny<CryptographicException>(() => WrappedMaterial.UnwrapWithPadding(key, flipped));
        }

        for (var length = 0; length < wrapped.Length; length++)
            Assert.ThrowsAny<CryptographicException>(() => WrappedMaterial.UnwrapWithPadding(key, wrapped.AsSpan(0, length)));
        key[0] ^= 1;
        Assert.ThrowsAny<CryptographicException>(() => WrappedMaterial.UnwrapWithPadding(key, wrapped));
    }

    [Fact]
    public void Both_algorithms_give_back_what_was_wrapped()
    {
        var material = RandomNumberGenerator.GetBytes(138);
        Assert.Equal(material, Oaep(material).Unwrap(Wrapping));
        Assert.Equal(material, KeyWrap(RandomNumberGenerator.GetBytes(32), material).Unwrap(Wrapping));
    }

    [Fact]
    public void Whatever_fails_while_unwrapping_is_told_in_the_same_words()
    {
        var material = RandomNumberGenerator.GetBytes(138);
        using var other = RSA.Create(WrappedMaterial.WrappingKeyBits);
        SigningException[] refusals =
        [
            Assert.Throws<SigningException>(() => Oaep(material).Unwrap(other)),
            Assert.Throws<SigningException>(() => Oaep(material, RSAEncryptionPadding.OaepSHA1).Unwrap(Wrapping)),
            Assert.Throws<SigningException>(() => Oaep(material, RSAEncryptionPadding.Pkcs1).Unwrap(Wrapping)),
            Assert.Throws<SigningException>(() => KeyWrap(RandomNumberGenerator.GetBytes(16), material).Unwrap(Wrapping)),
            Assert.Throws<SigningException>(() => KeyWrap(RandomNumberGenerator.GetBytes(32), material, damage: 600).Unwrap(Wrapping)),
            Assert.Throws<SigningException>(() => KeyWrap(RandomNumberGenerator.GetBytes(32), material, damage: 3).Unwrap(Wrapping)),
        ];
        Assert.Single(refusals.Select(r => r.Message).Distinct(StringComparer.Ordinal));
        Assert.All(refusals, r => Assert.Equal(SigningFault.InvalidRequest, r.Fault));
    }

    [Theory]
    [InlineData("RSA_OAEP_SHA_256", 0)]
    [InlineData("RSA_OAEP_SHA_256", 511)]
    [InlineData("RSA_OAEP_SHA_256", 513)]
    [InlineData("RSA_AES_KEY_WRAP_SHA_256", 512)]
    [InlineData("RSA_AES_KEY_WRAP_SHA_256", 520)]
    [InlineData("RSA_AES_KEY_WRAP_SHA_256", 533)]
    [InlineData("RSA_AES_KEY_WRAP_SHA_256", 100_000)]
    public void A_length_that_the_algorithm_does_not_yield_is_refused(string algorithm, int length) =>
        Assert.Equal(
            SigningFault.InvalidRequest,
            Assert.Throws<SigningException>(() => WrappedMaterial.Parse(algorithm, Convert.ToBase64String(new byte[length]))).Fault);

    [Theory]
    [InlineData("RSAES_PKCS1_V1_5", "AAAA", SigningFault.UnknownAlgorithm)]
    [InlineData("", "AAAA", SigningFault.UnknownAlgorithm)]
    [InlineData("RSA_OAEP_SHA_256", "not base64!", SigningFault.InvalidRequest)]
    public void Another_algorithm_and_what_is_not_base64_are_refused(string algorithm, string wrapped, SigningFault fault) =>
        Assert.Equal(fault, Assert.Throws<SigningException>(() => WrappedMaterial.Parse(algorithm, wrapped)).Fault);

    private static WrappedMaterial Oaep(byte[] material, RSAEncryptionPadding? padding = null) => WrappedMaterial.Parse(
        WrappedMaterial.RsaOaepSha256, Convert.ToBase64String(Wrapping.Encrypt(material, padding ?? RSAEncryptionPadding.OaepSHA256)));

    private static WrappedMaterial KeyWrap(byte[] key, byte[] material, int? damage = null)
    {
        using var aes = Aes.Create();
        aes.SetKey(key);
        byte[] wrapped = [.. Wrapping.Encrypt(key, RSAEncryptionPadding.OaepSHA256), .. aes.EncryptKeyWrapPadded(material)];
        if (damage is { } at)
            wrapped[at] ^= 1;
        return WrappedMaterial.Parse(WrappedMaterial.RsaAesKeyWrapSha256, Convert.ToBase64String(wrapped));
    }
}
