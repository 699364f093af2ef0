using System.Security.Cryptography;

namespace SignSvc.Emulation.Tests.Recorded;

internal static partial class Scenarios
{
    private static async Task test_import_key_material_raises_if_there_is_already_key_material_pending(Replay replay)
    {
        var key = await CreateKey(replay, usage: EncryptDecrypt, description: TestKey, origin: "EXTERNAL");
        replay.Match(
            "import-initial-material-response",
            await (await Import.BeginAsync(replay.Kms, key.KeyId)).SendAsync(NewAes()));
        replay.Match(
            "import-pending-material-response",
            await (await Import.BeginAsync(replay.Kms, key.KeyId)).SendAsync(NewAes(), "NEW_KEY_MATERIAL"));
        replay.Match(
            "existing-pending-material-error",
            await (await Import.BeginAsync(replay.Kms, key.KeyId)).SendAsync(NewAes(), "NEW_KEY_MATERIAL"));
    }

    private static async Task test_get_parameters_for_import(Replay replay)
    {
        var signing = await CreateKey(replay, "ECC_NIST_P256", SignVerify, origin: "EXTERNAL");
        var import = await Import.BeginAsync(replay.Kms, signing.KeyId, wrappingSpec: "RSA_4096");
        Assert.Equal(signing.Arn, import.Parameters.Text("KeyId"));
        replay.Match("response-error", await ParametersForAwsKey(replay));
    }

    private static async Task test_get_parameters_for_import_raises_for_non_external_kms_keys(Replay replay) =>
        replay.Match("get-import-parameters-error", await ParametersForAwsKey(replay));

    private static async Task<Reply> ParametersForAwsKey(Replay replay) =>
        await replay.Kms.SendAsync(
            "GetParametersForImport",
            new
            {
                KeyId = await NewKeyId(replay),
                WrappingAlgorithm = "RSAES_OAEP_SHA_256",
                WrappingKeySpec = "RSA_4096",
            });

    private static async Task test_import_key_symmetric(Replay replay)
    {
        var key = await CreateKey(replay, description: TestKey, origin: "EXTERNAL");
        replay.Match("created-key", key.Metadata);
        replay.Match(
            "encrypt-before-import-error",
            await replay.Kms.SendAsync("Encrypt", new { key.KeyId, Plaintext = Message }));
        var import = await Import.BeginAsync(replay.Kms, key.KeyId);
        replay.Match("describe-key-before-import", await replay.Kms.SendAsync("DescribeKey", new { key.KeyId }));
        var material = NewAes();
        replay.Match("import-expiring-key-without-valid-to", await import.SendAsync(material, model: null));
        Assert.Null((await import.SendAsync(material)).Error);
        replay.Match("describe-key-after-import", await replay.Kms.SendAsync("DescribeKey", new { key.KeyId }));
        var blob = (await replay.Kms.DoAsync("Encrypt", new { key.KeyId, Plaintext = Message })).Text("CiphertextBlob");
        await replay.Kms.DoAsync("Decrypt", new { key.KeyId, CiphertextBlob = blob });
        await replay.Kms.DoAsync("DeleteImportedKeyMaterial", new { key.KeyId });
        replay.Match("describe-key-after-deleted-import", await replay.Kms.SendAsync("DescribeKey", new { key.KeyId }));
        replay.Match(
            "encrypt-after-delete-error",
            await replay.Kms.SendAsync("Encrypt", new { key.KeyId, Plaintext = Message }));
    }

    private static async Task test_import_key_asymmetric(Replay replay)
    {
        var key = await CreateKey(replay, "ECC_NIST_P256", SignVerify, TestKey, "EXTERNAL");
        replay.Match("created-key", key.Metadata);
        using var pair = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        await ImportPair(replay, key.KeyId, pair, "RSAES_OAEP_SHA_256", "RSA_2048", "ECDSA_SHA_256");
    }

    private static async Task test_import_key_ecc_keys(Replay replay)
    {
        var (curve, algorithm) = replay.Arguments[0] switch
        {
            "ECC_NIST_P256" => (ECCurve.NamedCurves.nistP256, "ECDSA_SHA_256"),
            "ECC_NIST_P384" => (ECCurve.NamedCurves.nistP384, "ECDSA_SHA_384"),
            "ECC_NIST_P521" => (ECCurve.NamedCurves.nistP521, "ECDSA_SHA_512"),
            _ => (ECCurve.CreateFromFriendlyName("secp256k1"), "ECDSA_SHA_256"),
        };
        var large = replay.Arguments[0] is "ECC_NIST_P521";
        var key = await CreateKey(replay, replay.Arguments[0], SignVerify, "test ecc key import", "EXTERNAL");
        using var pair = ECDsa.Create(curve);
        var signed = await ImportPair(
            replay,
            key.KeyId,
            pair,
            large ? "RSAES_OAEP_SHA_256" : "RSAES_OAEP_SHA_1",
            large ? "RSA_4096" : "RSA_2048",
            algorithm);
        replay.Match("sign-result", signed.Signed);
        replay.Match("verify-result", signed.Verified);
    }

    private static async Task test_import_key_rsa_aes_wrap_sha256(Replay replay)
    {
        var key = await CreateKey(replay, "RSA_4096", EncryptDecrypt, TestKey, "EXTERNAL");
        using var pair = RSA.Create(4096);
        var import = await Import.BeginAsync(replay.Kms, key.KeyId, "RSA_AES_KEY_WRAP_SHA_256", "RSA_4096");
        replay.Match("describe-before-import", await replay.Kms.SendAsync("DescribeKey", new { key.KeyId }));
        Assert.Null((await import.SendAsync(pair.ExportPkcs8PrivateKey())).Error);
        replay.Match("import-key-material-response", await replay.Kms.SendAsync("DescribeKey", new { key.KeyId }));
        Assert.Equal(
            pair.ExportSubjectPublicKeyInfo(),
            (await replay.Kms.DoAsync("GetPublicKey", new { key.KeyId })).Blob("PublicKey"));
        await replay.Kms.DoAsync("DeleteImportedKeyMaterial", new { key.KeyId });
        replay.Match("describe-key-after-deleted-import", await replay.Kms.SendAsync("DescribeKey", new { key.KeyId }));
    }

    private static async Task<(Reply Signed, Reply Verified)> ImportPair(
        Replay replay,
        string keyId,
        ECDsa pair,
        string wrapping,
        string wrappingSpec,
        string algorithm)
    {
        var import = await Import.BeginAsync(replay.Kms, keyId, wrapping, wrappingSpec);
        replay.Match("describe-key-before-import", await replay.Kms.SendAsync("DescribeKey", new { KeyId = keyId }));
        Assert.Null((await import.SendAsync(pair.ExportPkcs8PrivateKey())).Error);
        replay.Match("describe-key-after-import", await replay.Kms.SendAsync("DescribeKey", new { KeyId = keyId }));
        Assert.Equal(
            pair.ExportSubjectPublicKeyInfo(),
            (await replay.Kms.DoAsync("GetPublicKey", new { KeyId = keyId })).Blob("PublicKey"));
        var signed = await replay.Kms.DoAsync(
            "Sign",
            new
            {
                KeyId = keyId,
                Message,
                SigningAlgorithm = algorithm,
            });
        Assert.True(
            pair.VerifyData(Message, signed.Blob("Signature"), HashOf(algorithm), DSASignatureFormat.Rfc3279DerSequence)
        );
        var verified = await replay.Kms.DoAsync(
            "Verify",
            new
            {
                KeyId = keyId,
                Message,
                SigningAlgorithm = algorithm,
                Signature = signed.Text("Signature"),
            });
        await replay.Kms.DoAsync("DeleteImportedKeyMaterial", new { KeyId = keyId });
        replay.Match(
            "describe-key-after-deleted-import",
            await replay.Kms.SendAsync("DescribeKey", new { KeyId = keyId }));
        return (signed, verified);
    }

    private static byte[] NewAes() => RandomNumberGenerator.GetBytes(32);
}
