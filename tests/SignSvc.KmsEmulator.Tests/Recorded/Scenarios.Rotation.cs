using System.Globalization;

namespace SignSvc.Emulation.Tests.Recorded;

internal static partial class Scenarios
{
    private static async Task test_key_enable_rotation_status(Replay replay)
    {
        var days = int.Parse(replay.Arguments[0], CultureInfo.InvariantCulture);
        var keyId = await NewKeyId(replay);
        await replay.Kms.DoAsync("EnableKeyRotation", new { KeyId = keyId, RotationPeriodInDays = days });
        replay.Match("match_response", await replay.Kms.SendAsync("GetKeyRotationStatus", new { KeyId = keyId }));
    }

    private static async Task test_rotate_key_on_demand_modifies_key_material(Replay replay)
    {
        var keyId = await NewKeyId(replay);
        replay.Match(
            "rotate-on-demand-response",
            await replay.Kms.SendAsync("RotateKeyOnDemand", new { KeyId = keyId }));
    }

    private static async Task test_rotate_key_on_demand_with_symmetric_key_and_automatic_rotation_disabled(
        Replay replay)
    {
        var keyId = await NewKeyId(replay);
        replay.Match(
            "rotate-on-demand-response",
            await replay.Kms.SendAsync("RotateKeyOnDemand", new { KeyId = keyId }));
        replay.Match(
            "rotation-status-response-after-rotation",
            await replay.Kms.SendAsync("GetKeyRotationStatus", new { KeyId = keyId }));
    }

    private static async Task test_rotate_key_on_demand_with_symmetric_key_and_automatic_rotation_enabled(Replay replay)
    {
        var keyId = await NewKeyId(replay);
        await replay.Kms.DoAsync("EnableKeyRotation", new { KeyId = keyId });
        var before = await replay.Kms.DoAsync("GetKeyRotationStatus", new { KeyId = keyId });
        replay.Match(
            "rotate-on-demand-response",
            await replay.Kms.SendAsync("RotateKeyOnDemand", new { KeyId = keyId }));
        var after = await replay.Kms.SendAsync("GetKeyRotationStatus", new { KeyId = keyId });
        replay.Match("rotation-status-response-after-rotation", after);
        Assert.Equal(
            before.Body["NextRotationDate"]!.GetValue<double>(),
            after.Body["NextRotationDate"]!.GetValue<double>());
    }

    private static async Task test_rotate_key_on_demand_raises_error_given_key_is_disabled(Replay replay)
    {
        var keyId = await NewKeyId(replay, "RSA_4096", EncryptDecrypt);
        await replay.Kms.DoAsync("DisableKey", new { KeyId = keyId });
        replay.Match("error-response", await replay.Kms.SendAsync("RotateKeyOnDemand", new { KeyId = keyId }));
    }

    private static async Task test_rotate_key_on_demand_raises_error_given_key_that_does_not_exist(Replay replay) =>
        replay.Match(
            "error-response",
            await replay.Kms.SendAsync("RotateKeyOnDemand", new { KeyId = "1234abcd-12ab-34cd-56ef-1234567890ab" }));

    private static async Task test_rotate_key_on_demand_raises_error_given_non_symmetric_key(Replay replay) =>
        replay.Match(
            "error-response",
            await replay.Kms.SendAsync(
                "RotateKeyOnDemand",
                new { KeyId = await NewKeyId(replay, "RSA_4096", EncryptDecrypt) }));

    private static async Task test_key_rotations_encryption_decryption(Replay replay)
    {
        var keyId = await NewKeyId(replay);
        var blob = (await replay.Kms.DoAsync("Encrypt", new { KeyId = keyId, Plaintext = Message })).Blob(
            "CiphertextBlob");
        await replay.Kms.DoAsync("RotateKeyOnDemand", new { KeyId = keyId });
        Assert.Equal(
            Message,
            (await replay.Kms.DoAsync("Decrypt", new { KeyId = keyId, CiphertextBlob = blob })).Blob("Plaintext"));
        replay.Match(
            "bad-ciphertext",
            await replay.Kms.SendAsync(
                "Decrypt",
                new { KeyId = keyId, CiphertextBlob = blob.Concat("bad_data"u8.ToArray()).ToArray() }));
    }

    private static async Task test_key_rotations_limits(Replay replay)
    {
        var keyId = await NewKeyId(replay);
        for (var i = 0; i < 25; i++)
            await replay.Kms.DoAsync("RotateKeyOnDemand", new { KeyId = keyId });
        replay.Match("error-response", await replay.Kms.SendAsync("RotateKeyOnDemand", new { KeyId = keyId }));
    }

    private static async Task test_rotate_on_demand_returns_arn_for_key_id(Replay replay)
    {
        var key = await CreateKey(replay);
        var reply = await replay.Kms.DoAsync("RotateKeyOnDemand", new { key.KeyId });
        replay.Match("rotate-on-demand-aws-key", reply);
        Assert.Equal(key.Arn, reply.Text("KeyId"));
    }

    private static async Task test_key_rotation_updates_current_key_material_id_for_aws_symmetric_keys(Replay replay)
    {
        var keyId = (await CreateKey(replay, description: TestKey)).KeyId;
        replay.Match("describe-key-before-rotation", await replay.Kms.SendAsync("DescribeKey", new { KeyId = keyId }));
        await replay.Kms.DoAsync("RotateKeyOnDemand", new { KeyId = keyId });
        replay.Match("describe-key-after-rotation", await replay.Kms.SendAsync("DescribeKey", new { KeyId = keyId }));
    }

    private static async Task test_rotate_key_on_demand_on_external_key_with_no_key_material(Replay replay)
    {
        var key = await CreateKey(replay, usage: EncryptDecrypt, description: TestKey, origin: "EXTERNAL");
        replay.Match("create-kms-external-key", key.Metadata);
        replay.Match(
            $"rotate-key-on-demand-error-response-{replay.Arguments[0]}",
            await replay.Kms.SendAsync("RotateKeyOnDemand", new { key.KeyId }));
    }

    private static async Task test_rotate_key_on_demand_updates_current_key_material_for_external_keys(Replay replay)
    {
        var key = await CreateKey(replay, usage: EncryptDecrypt, description: TestKey, origin: "EXTERNAL");
        replay.Match("create-kms-external-key", key.Metadata);
        var import = await Import.BeginAsync(replay.Kms, key.KeyId);
        replay.Match("get-import-parameters-response", import.Parameters);
        replay.Match("describe-empty-key-response", await replay.Kms.SendAsync("DescribeKey", new { key.KeyId }));
        replay.Match("import-key-material-response", await import.SendAsync(NewAes()));
        replay.Match(
            "describe-key-with-material-response",
            await replay.Kms.SendAsync("DescribeKey", new { key.KeyId }));
        var first = await replay.Kms.DoAsync("Encrypt", new { key.KeyId, Plaintext = Message });
        replay.Match("kms-encrypt-initial-response", first);

        import = await Import.BeginAsync(replay.Kms, key.KeyId);
        replay.Match("import-new-key-material-response", await import.SendAsync(NewAes(), type: "NEW_KEY_MATERIAL"));
        replay.Match(
            "describe-key-with-new-material-response",
            await replay.Kms.SendAsync("DescribeKey", new { key.KeyId }));
        replay.Match(
            "rotate-key-on-demand-response",
            await replay.Kms.SendAsync("RotateKeyOnDemand", new { key.KeyId }));
        replay.Match("describe-key-after-rotation", await replay.Kms.SendAsync("DescribeKey", new { key.KeyId }));
        replay.Match(
            "kms-encrypt-rotated-key-response",
            await replay.Kms.SendAsync("Encrypt", new { key.KeyId, Plaintext = Message }));
        var decrypted = await replay.Kms.DoAsync("Decrypt", new { CiphertextBlob = first.Text("CiphertextBlob") });
        Assert.Equal(Message, decrypted.Blob("Plaintext"));
    }

    private static async Task test_rotate_key_on_demand_for_external_keys_decrypts_with_previous_material(Replay replay)
    {
        var key = await CreateKey(replay, usage: EncryptDecrypt, description: TestKey, origin: "EXTERNAL");
        replay.Match("create-kms-external-key", key.Metadata);
        replay.Match(
            "import-key-material-response",
            await (await Import.BeginAsync(replay.Kms, key.KeyId)).SendAsync(NewAes()));
        var encrypted = await replay.Kms.DoAsync("Encrypt", new { key.KeyId, Plaintext = Message });
        replay.Match("kms-encrypt-initial-response", encrypted);
        await (await Import.BeginAsync(replay.Kms, key.KeyId)).SendAsync(NewAes(), type: "NEW_KEY_MATERIAL");
        replay.Match(
            "rotate-key-on-demand-response",
            await replay.Kms.SendAsync("RotateKeyOnDemand", new { key.KeyId }));
        var decrypted = await replay.Kms.DoAsync(
            "Decrypt",
            new { CiphertextBlob = encrypted.Text("CiphertextBlob"), key.KeyId });
        Assert.Equal(Message, decrypted.Blob("Plaintext"));
    }

    private static async Task test_rotate_key_on_demand_raises_for_no_pending_key_material(Replay replay)
    {
        var key = await CreateKey(replay, origin: "EXTERNAL");
        await (await Import.BeginAsync(replay.Kms, key.KeyId)).SendAsync(NewAes());
        replay.Match(
            "rotate-key-on-demand-invalid-state-error",
            await replay.Kms.SendAsync("RotateKeyOnDemand", new { key.KeyId }));
    }
}
