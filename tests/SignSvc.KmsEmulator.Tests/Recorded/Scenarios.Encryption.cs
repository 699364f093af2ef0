using System.Globalization;

namespace SignSvc.Emulation.Tests.Recorded;

internal static partial class Scenarios
{
    private static readonly object Context = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["context-key"] = "context-value",
    };

    private static async Task test_generate_random(Replay replay)
    {
        var length = int.Parse(replay.Arguments[0], CultureInfo.InvariantCulture);
        var reply = await replay.Kms.DoAsync("GenerateRandom", new { NumberOfBytes = length });
        replay.Match("result_length", reply.Blob("Plaintext").Length);
    }

    private static async Task test_generate_random_invalid_number_of_bytes(Replay replay)
    {
        int? length = replay.Arguments[0] is "None"
            ? null
            : int.Parse(replay.Arguments[0], CultureInfo.InvariantCulture);
        replay.Match(
            "generate-random-exc",
            await replay.Kms.SendAsync("GenerateRandom", new { NumberOfBytes = length }));
    }

    private static async Task test_encrypt_validate_plaintext_size_per_key_type(Replay replay)
    {
        var keyId = await NewKeyId(replay, replay.Arguments[0], EncryptDecrypt);
        replay.Match(
            "generate-random-exc",
            await replay.Kms.SendAsync(
                "Encrypt",
                new
                {
                    KeyId = keyId,
                    Plaintext = new byte[1176],
                    EncryptionAlgorithm = replay.Arguments[1],
                }));
    }

    private static async Task test_plaintext_size_for_encrypt(Replay replay)
    {
        var keyId = await NewKeyId(replay);
        replay.Match(
            "invalid-plaintext-size-encrypt",
            await replay.Kms.SendAsync("Encrypt", new { KeyId = keyId, Plaintext = new byte[4268] }));
    }

    private static async Task test_encrypt_decrypt_encryption_context(Replay replay)
    {
        var keyId = await NewKeyId(replay);
        var encrypted = await replay.Kms.DoAsync(
            "Encrypt",
            new
            {
                KeyId = keyId,
                Plaintext = Message,
                EncryptionAlgorithm = Symmetric,
                EncryptionContext = Context,
            });
        replay.Match("encrypt_response", encrypted);
        var blob = encrypted.Blob("CiphertextBlob");
        var decrypted = await replay.Kms.DoAsync(
            "Decrypt",
            new
            {
                KeyId = keyId,
                CiphertextBlob = blob,
                EncryptionContext = Context,
            });
        replay.Match("decrypt_response_with_encryption_context", decrypted);
        Assert.Equal(Message, decrypted.Blob("Plaintext"));
        replay.Match(
            "decrypt_response_without_encryption_context",
            await replay.Kms.SendAsync("Decrypt", new { KeyId = keyId, CiphertextBlob = blob }));
        replay.Match(
            "decrypt_response_with_invalid_ciphertext",
            await replay.Kms.SendAsync(
                "Decrypt",
                new
                {
                    KeyId = keyId,
                    CiphertextBlob = blob[16..],
                    EncryptionContext = Context,
                }));
    }

    /// <summary>
    /// Where the recording used an HMAC key against foreign ciphertext, an RSA key stands in: the refusal is the same.
    /// </summary>
    private static async Task test_error_messaging_for_invalid_keys(Replay replay)
    {
        var encrypting = await NewKeyId(replay);
        var signing = await NewKeyId(replay, "RSA_2048", SignVerify);
        replay.Match(
            "verify-invalid-key-id",
            await replay.Kms.SendAsync(
                "Verify",
                new
                {
                    KeyId = encrypting,
                    Message,
                    Signature = "random text"u8.ToArray(),
                    SigningAlgorithm = "ECDSA_SHA_256",
                }));
        replay.Match(
            "encrypt-invalid-key-id",
            await replay.Kms.SendAsync("Encrypt", new { KeyId = signing, Plaintext = Message }));
        var blob = (await replay.Kms.DoAsync("Encrypt", new { KeyId = encrypting, Plaintext = Message })).Text(
            "CiphertextBlob");
        replay.Match(
            "decrypt-invalid-key-id",
            await replay.Kms.SendAsync("Decrypt", new { KeyId = signing, CiphertextBlob = blob }));
    }

    private static async Task test_re_encrypt(Replay replay)
    {
        var (spec, algorithm) = (replay.Arguments[0], replay.Arguments[1]);
        var source = await NewKeyId(replay, spec, EncryptDecrypt);
        var destination = await NewKeyId(replay, spec, EncryptDecrypt);
        var blob = (
            await replay.Kms.DoAsync(
                "Encrypt",
                new
                {
                    KeyId = source,
                    Plaintext = Message,
                    EncryptionAlgorithm = algorithm,
                })).Text("CiphertextBlob");
        var result = await replay.Kms.DoAsync(
            "ReEncrypt",
            new
            {
                SourceKeyId = source,
                DestinationKeyId = destination,
                CiphertextBlob = blob,
                SourceEncryptionAlgorithm = algorithm,
                DestinationEncryptionAlgorithm = algorithm,
            });
        replay.Match("test_re_encrypt", result);
        var decrypted = await replay.Kms.DoAsync(
            "Decrypt",
            new
            {
                KeyId = destination,
                CiphertextBlob = result.Text("CiphertextBlob"),
                EncryptionAlgorithm = algorithm,
            });
        Assert.Equal(Message, decrypted.Blob("Plaintext"));
    }

    private static async Task test_re_encrypt_incorrect_source_key(Replay replay)
    {
        var source = await NewKeyId(replay);
        var other = await NewKeyId(replay, "RSA_2048", SignVerify);
        var blob = (await replay.Kms.DoAsync("Encrypt", new { KeyId = source, Plaintext = Message })).Text(
            "CiphertextBlob");
        replay.Match(
            "incorrect-source-key",
            await replay.Kms.SendAsync(
                "ReEncrypt",
                new
                {
                    SourceKeyId = other,
                    DestinationKeyId = other,
                    CiphertextBlob = blob,
                }));
    }

    private static async Task test_generate_data_key(Replay replay)
    {
        var keyId = await NewKeyId(replay);
        var result = await replay.Kms.DoAsync("GenerateDataKey", new { KeyId = keyId, KeySpec = "AES_256" });
        replay.Match("generate-data-key-result", result);
        var decrypted = await replay.Kms.DoAsync(
            "Decrypt",
            new { KeyId = keyId, CiphertextBlob = result.Text("CiphertextBlob") });
        Assert.Equal(result.Blob("Plaintext"), decrypted.Blob("Plaintext"));
        Assert.Equal(32, result.Blob("Plaintext").Length);
    }

    private static async Task test_generate_data_key_without_plaintext(Replay replay) =>
        replay.Match(
            "generate-data-key-without-plaintext",
            await replay.Kms.SendAsync(
                "GenerateDataKeyWithoutPlaintext",
                new { KeyId = await NewKeyId(replay), KeySpec = "AES_256" }));

    private static async Task test_generate_data_key_pair(Replay replay)
    {
        var keyId = await NewKeyId(replay);
        var result = await replay.Kms.DoAsync("GenerateDataKeyPair", new { KeyId = keyId, KeyPairSpec = "RSA_2048" });
        replay.Match("generate-data-key-pair", result);
        var decrypted = await replay.Kms.DoAsync(
            "Decrypt",
            new { KeyId = keyId, CiphertextBlob = result.Text("PrivateKeyCiphertextBlob") });
        Assert.Equal(result.Blob("PrivateKeyPlaintext"), decrypted.Blob("Plaintext"));
    }

    private static async Task test_generate_data_key_pair_without_plaintext(Replay replay) =>
        replay.Match(
            "generate-data-key-pair-without-plaintext",
            await replay.Kms.SendAsync(
                "GenerateDataKeyPairWithoutPlaintext",
                new { KeyId = await NewKeyId(replay), KeyPairSpec = "RSA_2048" }));

    private static Task test_encryption_context_generate_data_key(Replay replay) =>
        DecryptWithoutContext(replay, "GenerateDataKey", "CiphertextBlob", new { KeySpec = "AES_256" });

    private static Task test_encryption_context_generate_data_key_without_plaintext(Replay replay) =>
        DecryptWithoutContext(replay, "GenerateDataKeyWithoutPlaintext", "CiphertextBlob", new { KeySpec = "AES_256" });

    private static Task test_encryption_context_generate_data_key_pair(Replay replay) =>
        DecryptWithoutContext(
            replay,
            "GenerateDataKeyPair",
            "PrivateKeyCiphertextBlob",
            new { KeyPairSpec = "RSA_2048" });

    private static Task test_encryption_context_generate_data_key_pair_without_plaintext(Replay replay) =>
        DecryptWithoutContext(
            replay,
            "GenerateDataKeyPairWithoutPlaintext",
            "PrivateKeyCiphertextBlob",
            new { KeyPairSpec = "RSA_2048" });

    private static async Task DecryptWithoutContext(Replay replay, string operation, string member, object spec)
    {
        var keyId = await NewKeyId(replay);
        var request = System.Text.Json.JsonSerializer.SerializeToNode(spec)!.AsObject();
        request["KeyId"] = keyId;
        request["EncryptionContext"] = System.Text.Json.JsonSerializer.SerializeToNode(Context);
        var blob = (await replay.Kms.DoAsync(operation, request)).Text(member);
        await replay.Kms.DoAsync(
            "Decrypt",
            new
            {
                KeyId = keyId,
                CiphertextBlob = blob,
                EncryptionContext = Context,
            });
        replay.Match(
            "decrypt-without-encryption-context",
            await replay.Kms.SendAsync("Decrypt", new { KeyId = keyId, CiphertextBlob = blob }));
    }

    private static async Task test_generate_data_key_pair_dry_run(Replay replay) =>
        replay.Match(
            "dryrun_exception",
            await replay.Kms.SendAsync(
                "GenerateDataKeyPair",
                new
                {
                    KeyId = await NewKeyId(replay),
                    KeyPairSpec = "RSA_2048",
                    DryRun = true,
                }));

    private static async Task test_generate_data_key_pair_without_plaintext_dry_run(Replay replay) =>
        replay.Match(
            "dryrun_exception",
            await replay.Kms.SendAsync(
                "GenerateDataKeyPairWithoutPlaintext",
                new
                {
                    KeyId = await NewKeyId(replay),
                    KeyPairSpec = "RSA_2048",
                    DryRun = true,
                }));
}
