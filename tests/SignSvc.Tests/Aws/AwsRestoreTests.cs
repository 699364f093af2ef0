using KmsState = Amazon.KeyManagementService.KeyState;

namespace SignSvc.Tests.Aws;

/// <summary>A backup of a service whose keys are in AWS KMS comes back, also where some of them are stopped there because they are here.</summary>
public sealed class AwsRestoreTests(AwsService aws) : IClassFixture<AwsService>
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Keys_that_are_disabled_or_pending_deletion_do_not_keep_a_backup_from_being_restored()
    {
        await aws.MakeKeyAsync("signs");
        var disabled = (await aws.MakeKeyAsync("disabled"))["id"];
        var pending = (await aws.MakeKeyAsync("pending"))["id"];
        await aws.Admin.MustPostAsync(200, "/v1/keys/disabled/disable");
        Assert.Equal(200, (await aws.Admin.CallAsync(HttpMethod.Delete, "/v1/keys/pending", "")).Code);
        await AwsService.WithinAsync(Soon, async () =>
            (await aws.KeyOfAsync(disabled, 1)).KeyState == KmsState.Disabled
            && (await aws.KeyOfAsync(pending, 1)).KeyState != KmsState.Enabled);
        var backup = (await aws.Admin.MustPostAsync(200, "/v1/backup")).Body;

        var restored = await RestoreAsync(backup);
        Assert.True(restored.ExitCode == 0, restored.ToString());
        Assert.Contains("3 versions of 5 keys sign", restored.Output, StringComparison.Ordinal);
        Assert.Contains("Not proven: 2 versions of keys that are disabled or pending deletion", restored.Output, StringComparison.Ordinal);

        // One that signs here has to sign there: each that does not is named, with the way out.
        await aws.MakeKeyAsync("signs-too");
        backup = (await aws.Admin.MustPostAsync(200, "/v1/backup")).Body;
        using var kms = aws.Kms;
        foreach (var key in await aws.EnabledKeysAsync())
            await kms.DisableKeyAsync(key.Arn, Cancel);
        restored = await RestoreAsync(backup);
        Assert.True(restored.ExitCode == 1, restored.ToString());
        Assert.Contains("signs, version 1: The key is disabled or pending deletion in AWS KMS", restored.Error, StringComparison.Ordinal);
        Assert.Contains("signs-too, version 1: The key is disabled or pending deletion in AWS KMS", restored.Error, StringComparison.Ordinal);
        Assert.Contains("Enable them there, or cancel their deletion there, and restore again", restored.Error, StringComparison.Ordinal);
    }

    private async Task<EndedProcess> RestoreAsync(byte[] backup)
    {
        var folder = Directory.CreateTempSubdirectory("signsvc-restore-");
        try
        {
            var (root, file) = (Path.Combine(folder.FullName, "root.key"), Path.Combine(folder.FullName, "signsvc.backup"));
            File.Copy(Path.Combine(aws.Process.Data, "root.key"), root);
            await File.WriteAllBytesAsync(file, backup, Cancel);
            return await ServiceProcess.RefuseToStartAsync(new ServiceOptions
            {
                Data = folder.FullName,
                Environment = AwsService.Settings(aws.Emulator.Uri),
                Arguments = ["restore", file],
            });
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
