using System.Security.Cryptography;

namespace SignSvc.Emulation.Tests;

/// <summary>An import of key material: the parameters that AWS KMS gave, and the material wrapped for them.</summary>
internal sealed record Import(KmsWire Kms, string KeyId, string WrappingAlgorithm, Reply Parameters)
{
    public static async Task<Import> BeginAsync(
        KmsWire kms,
        string keyId,
        string wrappingAlgorithm = "RSAES_OAEP_SHA_256",
        string wrappingSpec = "RSA_2048") =>
        new(
            kms,
            keyId,
            wrappingAlgorithm,
            await kms.DoAsync(
                "GetParametersForImport",
                new
                {
                    KeyId = keyId,
                    WrappingAlgorithm = wrappingAlgorithm,
                    WrappingKeySpec = wrappingSpec,
                }));

    public Task<Reply> SendAsync(
        byte[] material,
        string? type = null,
        string? model = "KEY_MATERIAL_DOES_NOT_EXPIRE",
        DateTimeOffset? validTo = null) =>
        Kms.SendAsync(
            "ImportKeyMaterial",
            new
            {
                KeyId,
                ImportToken = Parameters.Text("ImportToken"),
                EncryptedKeyMaterial = Wrap(material),
                ImportType = type,
                ExpirationModel = model,
                ValidTo = validTo?.ToUnixTimeSeconds(),
            });

    private byte[] Wrap(byte[] material)
    {
        using var rsa = RSA.Create();
        rsa.ImportSubjectPublicKeyInfo(Parameters.Blob("PublicKey"), out _);
        var padding = WrappingAlgorithm.EndsWith("SHA_1", StringComparison.Ordinal)
            ? RSAEncryptionPadding.OaepSHA1
            : RSAEncryptionPadding.OaepSHA256;
        if (WrappingAlgorithm.StartsWith("RSAES", StringComparison.Ordinal))
            return rsa.Encrypt(material, padding);
        using var aes = Aes.Create();
        aes.GenerateKey();
        return [.. rsa.Encrypt(aes.Key, padding), .. aes.EncryptKeyWrapPadded(material)];
    }
}
