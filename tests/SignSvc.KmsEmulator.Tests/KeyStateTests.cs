namespace SignSvc.Emulation.Tests;

public sealed class KeyStateTests
{
    private static readonly byte[] Digest = new byte[32];

    [Fact]
    public async Task A_disabled_key_neither_signs_nor_shows_its_public_key_but_takes_aliases_tags_and_deletion()
    {
        await using var running = await RunningEmulator.StartAsync();
        var keyId = await running.NewSigningKeyAsync();
        await running.Kms.DoAsync("DisableKey", new { KeyId = keyId });

        await running.Kms.RefusedAsync("DisabledException", "Sign", SignRequest(keyId));
        await running.Kms.RefusedAsync("DisabledException", "GetPublicKey", new { KeyId = keyId });
        await running.Kms.RefusedAsync("DisabledException", "CreateGrant", GrantRequest(keyId));
        await running.Kms.DoAsync("CreateAlias", new { AliasName = "alias/a", TargetKeyId = keyId });
        await running.Kms.DoAsync(
            "TagResource",
            new { KeyId = keyId, Tags = new[] { new { TagKey = "k", TagValue = "v" } } });
        await running.Kms.DoAsync("ScheduleKeyDeletion", new { KeyId = keyId });
    }

    [Fact]
    public async Task A_key_pending_deletion_is_refused_until_cancelled_and_comes_back_disabled()
    {
        await using var running = await RunningEmulator.StartAsync();
        var keyId = await running.NewSigningKeyAsync();
        var grant = await running.Kms.DoAsync("CreateGrant", GrantRequest(keyId));
        var policy = (await running.Kms.DoAsync("GetKeyPolicy", new { KeyId = keyId })).Text("Policy");
        await running.Kms.DoAsync("CreateAlias", new { AliasName = "alias/old", TargetKeyId = keyId });
        var scheduled = await running.Kms.DoAsync(
            "ScheduleKeyDeletion",
            new { KeyId = keyId, PendingWindowInDays = 7 });
        Assert.Equal("PendingDeletion", scheduled.Text("KeyState"));

        foreach (
            var (operation, request) in new (string, object)[]
            {
                ("Sign", SignRequest(keyId)),
                ("GetPublicKey", new { KeyId = keyId }),
                ("EnableKey", new { KeyId = keyId }),
                ("DisableKey", new { KeyId = keyId }),
                ("CreateAlias", new { AliasName = "alias/new", TargetKeyId = keyId }),
                ("TagResource", new { KeyId = keyId, Tags = new[] { new { TagKey = "k", TagValue = "v" } } }),
                ("UpdateKeyDescription", new { KeyId = keyId, Description = "" }),
                ("ScheduleKeyDeletion", new { KeyId = keyId }),
            })
            await running.Kms.RefusedAsync("KMSInvalidStateException", operation, request);
        await running.Kms.DoAsync("DeleteAlias", new { AliasName = "alias/old" });
        await running.Kms.DoAsync("PutKeyPolicy", new { KeyId = keyId, Policy = policy });
        await running.Kms.DoAsync("RevokeGrant", new { KeyId = keyId, GrantId = grant.Text("GrantId") });

        await running.Kms.DoAsync("CancelKeyDeletion", new { KeyId = keyId });
        Assert.Equal("Disabled", await running.StateAsync(keyId));
        await running.Kms.DoAsync("EnableKey", new { KeyId = keyId });
        await running.Kms.DoAsync("Sign", SignRequest(keyId));
    }

    [Fact]
    public async Task A_key_is_gone_with_its_aliases_when_its_window_has_passed()
    {
        await using var running = await RunningEmulator.StartAsync();
        var keyId = await running.NewSigningKeyAsync();
        await running.Kms.DoAsync("CreateAlias", new { AliasName = "alias/gone", TargetKeyId = keyId });
        await running.Kms.DoAsync("ScheduleKeyDeletion", new { KeyId = keyId, PendingWindowInDays = 7 });

        running.Clock.Advance(TimeSpan.FromDays(7) - TimeSpan.FromSeconds(1));
        Assert.Equal("PendingDeletion", await running.StateAsync(keyId));
        running.Clock.Advance(TimeSpan.FromSeconds(1));

        await running.Kms.RefusedAsync("NotFoundException", "DescribeKey", new { KeyId = keyId });
        Assert.Empty((await running.Kms.DoAsync("ListKeys")).Body["Keys"]!.AsArray());
        Assert.Empty((await running.Kms.DoAsync("ListAliases")).Body["Aliases"]!.AsArray());
        await running.Kms.RefusedAsync("NotFoundException", "CancelKeyDeletion", new { KeyId = keyId });
    }

    [Theory]
    [InlineData(6)]
    [InlineData(31)]
    public async Task A_deletion_window_outside_7_to_30_days_is_refused(int days)
    {
        await using var running = await RunningEmulator.StartAsync();
        var keyId = await running.NewSigningKeyAsync();
        await running.Kms.RefusedAsync(
            "ValidationException",
            "ScheduleKeyDeletion",
            new { KeyId = keyId, PendingWindowInDays = days });
    }

    [Fact]
    public async Task A_primary_key_waits_for_its_replicas_before_its_own_window_starts()
    {
        await using var running = await RunningEmulator.StartAsync();
        var keyId = (await running.Kms.DoAsync("CreateKey", new { MultiRegion = true })).KeyId;
        await running.Kms.DoAsync("ReplicateKey", new { KeyId = keyId, ReplicaRegion = "eu-west-1" });
        using var replica = running.Kms.In("eu-west-1");

        var scheduled = await running.Kms.DoAsync(
            "ScheduleKeyDeletion",
            new { KeyId = keyId, PendingWindowInDays = 8 });
        Assert.Equal("PendingReplicaDeletion", scheduled.Text("KeyState"));
        running.Clock.Advance(TimeSpan.FromDays(100));
        Assert.Equal("PendingReplicaDeletion", await running.StateAsync(keyId));

        await replica.DoAsync("ScheduleKeyDeletion", new { KeyId = keyId, PendingWindowInDays = 7 });
        running.Clock.Advance(TimeSpan.FromDays(7));
        Assert.Equal("PendingDeletion", await running.StateAsync(keyId));
        running.Clock.Advance(TimeSpan.FromDays(8));
        await running.Kms.RefusedAsync("NotFoundException", "DescribeKey", new { KeyId = keyId });
    }

    [Fact]
    public async Task A_replica_shares_id_and_material_and_has_state_tags_and_aliases_of_its_own()
    {
        await using var running = await RunningEmulator.StartAsync();
        running.Emulator.Settings.ReplicationDelay = TimeSpan.FromSeconds(5);
        var keyId = (
            await running.Kms.DoAsync(
                "CreateKey",
                new
                {
                    MultiRegion = true,
                    KeySpec = "ECC_NIST_P256",
                    KeyUsage = "SIGN_VERIFY",
                })).KeyId;
        await running.Kms.DoAsync("ReplicateKey", new { KeyId = keyId, ReplicaRegion = "eu-west-1" });
        using var replica = running.Kms.In("eu-west-1");
        await replica.RefusedAsync("KMSInvalidStateException", "Sign", SignRequest(keyId));
        running.Clock.Advance(TimeSpan.FromSeconds(5));

        var signature = await replica.DoAsync("Sign", SignRequest(keyId));
        Assert.Contains(":eu-west-1:", signature.Text("KeyId"), StringComparison.Ordinal);
        await running.Kms.DoAsync(
            "Verify",
            new
            {
                KeyId = keyId,
                Message = Digest,
                MessageType = "DIGEST",
                SigningAlgorithm = "ECDSA_SHA_256",
                Signature = signature.Text("Signature"),
            });
        await running.Kms.DoAsync("DisableKey", new { KeyId = keyId });
        await replica.DoAsync("Sign", SignRequest(keyId));

        await running.Kms.DoAsync("EnableKey", new { KeyId = keyId });
        await running.Kms.DoAsync("UpdatePrimaryRegion", new { KeyId = keyId, PrimaryRegion = "eu-west-1" });
        await replica.DoAsync("ReplicateKey", new { KeyId = keyId, ReplicaRegion = "ap-south-1" });
        await running.Kms.RefusedAsync(
            "UnsupportedOperationException",
            "ReplicateKey",
            new { KeyId = keyId, ReplicaRegion = "us-west-2" });
    }

    [Fact]
    public async Task Ciphertext_of_a_primary_decrypts_in_the_replicas_region()
    {
        await using var running = await RunningEmulator.StartAsync();
        var keyId = (await running.Kms.DoAsync("CreateKey", new { MultiRegion = true })).KeyId;
        await running.Kms.DoAsync("ReplicateKey", new { KeyId = keyId, ReplicaRegion = "eu-west-1" });
        await running.Kms.DoAsync("RotateKeyOnDemand", new { KeyId = keyId });
        var blob = (await running.Kms.DoAsync("Encrypt", new { KeyId = keyId, Plaintext = Digest })).Text(
            "CiphertextBlob");
        using var replica = running.Kms.In("eu-west-1");
        Assert.Equal(Digest, (await replica.DoAsync("Decrypt", new { CiphertextBlob = blob })).Blob("Plaintext"));
    }

    [Fact]
    public async Task Automatic_rotation_changes_the_material_on_its_date_and_old_ciphertext_still_decrypts()
    {
        await using var running = await RunningEmulator.StartAsync();
        var key = await running.Kms.DoAsync("CreateKey");
        await running.Kms.DoAsync("EnableKeyRotation", new { key.KeyId, RotationPeriodInDays = 90 });
        var blob = (await running.Kms.DoAsync("Encrypt", new { key.KeyId, Plaintext = Digest })).Text("CiphertextBlob");

        running.Clock.Advance(TimeSpan.FromDays(181));
        var later = await running.Kms.DoAsync("DescribeKey", new { key.KeyId });
        Assert.NotEqual(
            key.Metadata["CurrentKeyMaterialId"]!.GetValue<string>(),
            later.Metadata["CurrentKeyMaterialId"]!.GetValue<string>(),
            StringComparer.Ordinal);
        Assert.Equal(Digest, (await running.Kms.DoAsync("Decrypt", new { CiphertextBlob = blob })).Blob("Plaintext"));
        var rotations = (await running.Kms.DoAsync("ListKeyRotations", new { key.KeyId })).Body["Rotations"]!.AsArray();
        Assert.Equal(
            ["AUTOMATIC", "AUTOMATIC"],
            rotations.Select(r => r!["RotationType"]!.GetValue<string>()),
            StringComparer.Ordinal);
    }

    [Fact]
    public async Task Imported_material_that_expires_leaves_the_key_pending_import()
    {
        await using var running = await RunningEmulator.StartAsync();
        var keyId = (await running.Kms.DoAsync("CreateKey", new { Origin = "EXTERNAL" })).KeyId;
        var import = await Import.BeginAsync(running.Kms, keyId);
        var imported = await import.SendAsync(
            Digest,
            model: "KEY_MATERIAL_EXPIRES",
            validTo: running.Clock.GetUtcNow().AddDays(1));
        Assert.Null(imported.Error);
        Assert.Equal("Enabled", await running.StateAsync(keyId));
        running.Clock.Advance(TimeSpan.FromDays(1));
        Assert.Equal("PendingImport", await running.StateAsync(keyId));
        await running.Kms.RefusedAsync(
            "KMSInvalidStateException",
            "Encrypt",
            new { KeyId = keyId, Plaintext = Digest });
    }

    [Fact]
    public async Task A_key_waits_for_former_material_too_once_that_was_deleted()
    {
        await using var running = await RunningEmulator.StartAsync();
        var keyId = (await running.Kms.DoAsync("CreateKey", new { Origin = "EXTERNAL" })).KeyId;
        var former = await (await Import.BeginAsync(running.Kms, keyId)).SendAsync(Digest);
        var next = Enumerable.Repeat((byte)1, 32).ToArray();
        await (await Import.BeginAsync(running.Kms, keyId)).SendAsync(next, "NEW_KEY_MATERIAL");
        await running.Kms.DoAsync("RotateKeyOnDemand", new { KeyId = keyId });
        await running.Kms.DoAsync(
            "DeleteImportedKeyMaterial",
            new { KeyId = keyId, KeyMaterialId = former.Text("KeyMaterialId") });
        Assert.Equal("PendingImport", await running.StateAsync(keyId));
        var other = await (await Import.BeginAsync(running.Kms, keyId)).SendAsync(new byte[31]);
        Assert.Equal("IncorrectKeyMaterialException", other.Error);
        Assert.Null((await (await Import.BeginAsync(running.Kms, keyId)).SendAsync(Digest)).Error);
        Assert.Equal("Enabled", await running.StateAsync(keyId));
    }

    [Fact]
    public async Task An_import_token_is_good_for_24_hours()
    {
        await using var running = await RunningEmulator.StartAsync();
        var keyId = (await running.Kms.DoAsync("CreateKey", new { Origin = "EXTERNAL" })).KeyId;
        var import = await Import.BeginAsync(running.Kms, keyId);
        running.Clock.Advance(TimeSpan.FromHours(24) + TimeSpan.FromSeconds(1));
        Assert.Equal("ExpiredImportTokenException", (await import.SendAsync(Digest)).Error);
    }

    private static object SignRequest(string keyId) =>
        new
        {
            KeyId = keyId,
            Message = Digest,
            MessageType = "DIGEST",
            SigningAlgorithm = "ECDSA_SHA_256",
        };

    private static object GrantRequest(string keyId) =>
        new
        {
            KeyId = keyId,
            GranteePrincipal = "arn:aws:iam::111111111111:role/signer",
            Operations = new[] { "Sign" },
        };
}
