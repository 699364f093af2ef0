using SignSvc.Tests.Shared;

namespace SignSvc.Emulation.Tests;

public sealed class RestartTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("kms-emulator").FullName;

    [Fact]
    public async Task Keys_aliases_tags_grants_rotations_and_replicas_survive_a_restart_on_the_same_port()
    {
        var options = new KmsEmulatorOptions { Url = new Uri($"http://127.0.0.1:{FreePort.Next()}"), StateFile = Path.Combine(_folder, "state.json") };
        Uri uri;
        string keyId,
            wrapping,
            blob,
            external;
        byte[] publicKey;
        await using (var emulator = await KmsEmulator.StartAsync(options, TestContext.Current.CancellationToken))
        {
            emulator.Quotas.Enforced = false;
            uri = emulator.Uri;
            using var kms = new KmsWire(uri);
            keyId = (
                await kms.DoAsync(
                    "CreateKey",
                    new
                    {
                        KeySpec = "ECC_NIST_P256",
                        KeyUsage = "SIGN_VERIFY",
                        Tags = new[] { new { TagKey = "owner", TagValue = "ci" } },
                    })).KeyId;
            publicKey = (await kms.DoAsync("GetPublicKey", new { KeyId = keyId })).Blob("PublicKey");
            await kms.DoAsync("CreateAlias", new { AliasName = "alias/release", TargetKeyId = keyId });
            await kms.DoAsync(
                "CreateGrant",
                new
                {
                    KeyId = keyId,
                    GranteePrincipal = "arn:aws:iam::111111111111:role/a",
                    Operations = new[] { "Sign" },
                });
            wrapping = (await kms.DoAsync("CreateKey", new { MultiRegion = true })).KeyId;
            await kms.DoAsync("ReplicateKey", new { KeyId = wrapping, ReplicaRegion = "eu-west-1" });
            blob = (await kms.DoAsync("Encrypt", new { KeyId = wrapping, Plaintext = new byte[5] })).Text(
                "CiphertextBlob");
            await kms.DoAsync("RotateKeyOnDemand", new { KeyId = wrapping });
            external = (await kms.DoAsync("CreateKey", new { Origin = "EXTERNAL" })).KeyId;
            await (await Import.BeginAsync(kms, external)).SendAsync(new byte[32]);
            await kms.DoAsync("DisableKey", new { KeyId = external });
        }

        await using var restarted = await KmsEmulator.StartAsync(
            options with
            {
                Url = uri,
            },
            TestContext.Current.CancellationToken);
        restarted.Quotas.Enforced = false;
        using var again = new KmsWire(uri);
        Assert.Equal(
            publicKey,
            (await again.DoAsync("GetPublicKey", new { KeyId = "alias/release" })).Blob("PublicKey"));
        Assert.Single((await again.DoAsync("ListResourceTags", new { KeyId = keyId })).Body["Tags"]!.AsArray());
        Assert.Single((await again.DoAsync("ListGrants", new { KeyId = keyId })).Body["Grants"]!.AsArray());
        Assert.Single((await again.DoAsync("ListKeyRotations", new { KeyId = wrapping })).Body["Rotations"]!.AsArray());
        Assert.Equal(
            "Disabled",
            (await again.DoAsync("DescribeKey", new { KeyId = external })).Metadata["KeyState"]!.GetValue<string>());

        // A replica still shares the primary's material: what the primary rotates to after the restart decrypts there.
        using var replica = again.In("eu-west-1");
        await replica.DoAsync("Decrypt", new { CiphertextBlob = blob });
        await again.DoAsync("RotateKeyOnDemand", new { KeyId = wrapping });
        var later = (await again.DoAsync("Encrypt", new { KeyId = wrapping, Plaintext = new byte[5] })).Text(
            "CiphertextBlob");
        await replica.DoAsync("Decrypt", new { CiphertextBlob = later });
    }

    [Fact]
    public async Task Parallel_changes_are_all_on_disk_when_their_answers_arrive()
    {
        var options = new KmsEmulatorOptions { StateFile = Path.Combine(_folder, "state.json") };
        await using var emulator = await KmsEmulator.StartAsync(options, TestContext.Current.CancellationToken);
        emulator.Quotas.Enforced = false;
        using var kms = new KmsWire(emulator.Uri);
        await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => kms.DoAsync("CreateKey")));

        var world = new Keys.World(new Keys.WorldSettings());
        using var file = new StateFile(options.StateFile);
        file.LoadInto(world);
        Assert.Equal(40, world.Keys.Count());
        Assert.Equal(
            ["state.json"],
            Directory.EnumerateFiles(_folder).Select(f => Path.GetFileName(f)),
            StringComparer.Ordinal);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
