using System.Text.Json;
using SignSvc.Signing;
using SignSvc.Signing.Storage;
using SignSvc.Storage.Sqlite;

namespace SignSvc.Import.Tests;

/// <summary>The whole service: backed up while it signs, restored into another folder.</summary>
public sealed class BackupTests
{
    [Fact]
    public async Task A_backup_under_load_is_one_moment_and_comes_back_whole()
    {
        using var owner = Material.P256();
        using var folder = new TemporaryFolder();
        await using var service = await ServiceProcess.StartAsync();
        var key = await service.Client.MakeEmptyKeyAsync();
        Assert.Equal(200, (await service.Client.ImportAsync(key, (await service.Client.ParametersAsync(key)).Wrap(owner.ExportPkcs8PrivateKey()))).Code);
        Assert.Equal(200, (await service.Client.PostJsonAsync("/v1/keys/release/rotate")).Code);
        Assert.Equal(200, (await service.Client.CallAsync(HttpMethod.Put, "/v1/aliases/prod/app", """{"key":"release"}""")).Code);
        await service.Client.ParametersAsync("release");

        var backup = await BackUpUnderLoadAsync(service);
        var admin = service.AdminToken;
        await service.StopAsync();

        // Restored: what stood there at one commit, and nothing of what came later.
        var restored = await RestoreAsync(service, folder.Path, backup);
        Assert.True(restored.ExitCode == 0, restored.ToString());
        var (before, after) = (await ReadAllAsync(service.Data), await ReadAllAsync(folder.Path));
        Assert.Equal(Describe<BackupItem.StoredDocument>(before), Describe<BackupItem.StoredDocument>(after));
        var (segmentsBefore, segmentsAfter) = (Describe<BackupItem.StoredSegment>(before), Describe<BackupItem.StoredSegment>(after));
        Assert.Equal(segmentsBefore[..segmentsAfter.Length], segmentsAfter);
        Assert.True(segmentsAfter.Length < segmentsBefore.Length, "Nothing was signed while the backup ran.");
        Assert.Equal(UsesOnRecord(after), after.OfType<BackupItem.StoredUsage>().ToDictionary(u => u.Usage.Kid, u => u.Usage.Uses, StringComparer.Ordinal));
        Assert.Contains($"{segmentsAfter.Length} segments", restored.Output, StringComparison.Ordinal);
        Assert.Contains("4 versions of 3 keys sign", restored.Output, StringComparison.Ordinal);

        // And it serves: the same credential, the same keys, one unbroken audit that goes on.
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "bootstrap.credential"), admin, TestContext.Current.CancellationToken);
        await using var second = await ServiceProcess.StartAsync(new ServiceOptions { Data = folder.Path });
        Assert.True(await second.Client.SignsAsAsync(key, owner));
        Assert.Equal(200, (await second.Client.PostJsonAsync("/v1/keys/prod%2Fapp/sign", """{"message":"AAAA"}""")).Code);
        Assert.Equal(201, (await second.Client.PostJsonAsync("/v1/tokens", """{"profile":"default","subject":"a","audience":"b"}""")).Code);
        Assert.True((await second.Client.GetJsonAsync("/v1/audit/check")).Json.GetProperty("intact").GetBoolean());
        var search = await second.Client.GetJsonAsync("/v1/audit?action=backup:Create");
        Assert.Single(search.Json.GetProperty("records").EnumerateArray());
    }

    [Fact]
    public async Task What_cannot_be_restored_is_refused_with_its_reason_and_leaves_nothing_behind()
    {
        await using var service = await ServiceProcess.StartAsync();
        var backup = (await service.Client.PostJsonAsync("/v1/backup")).Body;
        var rootKey = File.ReadAllBytes(Path.Combine(service.Data, "root.key"));
        byte[] otherRoot = [.. System.Text.Encoding.ASCII.GetBytes(Convert.ToBase64String(new byte[32])), (byte)'\n'];
        byte[] flipped = [.. backup[..^5], (byte)(backup[^5] ^ 1), .. backup[^4..]];
        (byte[] File, byte[]? Root, string Reason)[] refused =
        [
            (backup, null, "There is no root key"),
            (backup, otherRoot, "another root key"),
            (flipped, rootKey, "damaged"),
            (backup[..^1], rootKey, "cut off"),
            ([.. backup, 0], rootKey, "damaged"),
            (rootKey, rootKey, "not a backup"),
        ];
        foreach (var (content, root, reason) in refused)
        {
            using var folder = new TemporaryFolder();
            var ended = await RestoreAsync(root, folder.Path, content);
            Assert.True(ended.ExitCode == 1 && ended.Error.Contains(reason, StringComparison.Ordinal), ended.ToString());
            Assert.DoesNotContain("   at ", ended.Error, StringComparison.Ordinal);
            Assert.Empty(Directory.GetFiles(folder.Path, "signsvc.db*"));
        }

        using var nowhere = new TemporaryFolder();
        var absent = Path.Combine(nowhere.Path, "absent.backup");
        var unnamed = await ServiceProcess.RefuseToStartAsync(new ServiceOptions { Data = nowhere.Path, Arguments = ["restore", absent] });
        Assert.True(unnamed.ExitCode == 1 && unnamed.Error.Contains($"There is no file {absent}", StringComparison.Ordinal), unnamed.ToString());

        // A store that holds something is not touched.
        using var full = new TemporaryFolder();
        Assert.Equal(0, (await RestoreAsync(rootKey, full.Path, backup)).ExitCode);
        var database = File.ReadAllBytes(Path.Combine(full.Path, "signsvc.db"));
        var again = await RestoreAsync(rootKey, full.Path, backup);
        Assert.True(again.ExitCode == 1 && again.Error.Contains("holds a database already", StringComparison.Ordinal), again.ToString());
        Assert.Equal(database, File.ReadAllBytes(Path.Combine(full.Path, "signsvc.db")));

        // --check reads only, also where a database is, and beside a service that runs.
        Assert.Contains("The backup is whole", (await RestoreAsync(service, service.Data, backup, "--check")).Output, StringComparison.Ordinal);
        Assert.Equal(200, (await service.Client.PostJsonAsync("/v1/keys/release/sign", """{"message":"AAAA"}""")).Code);
        Assert.Contains("The backup is whole", (await RestoreAsync(rootKey, full.Path, backup, "--check")).Output, StringComparison.Ordinal);
        Assert.Contains("damaged", (await RestoreAsync(rootKey, full.Path, flipped, "--check")).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_administrators_take_backups_and_a_refusal_is_on_record()
    {
        await using var service = await ServiceProcess.StartAsync();
        foreach (var role in new[] { "operator", "signer", "auditor" })
            Assert.Equal("403 forbidden", (await service.As(await service.Client.CredentialAsync(role)).PostJsonAsync("/v1/backup")).Problem());
        Assert.Equal("401 unauthenticated", (await service.As(token: null).PostJsonAsync("/v1/backup")).Problem());
        Assert.Equal(405, (await service.Client.GetJsonAsync("/v1/backup")).Code);

        var answer = await service.Client.PostJsonAsync("/v1/backup");
        Assert.Equal("application/vnd.signsvc.backup", answer.ContentHeaders.ContentType!.MediaType);
        Assert.StartsWith("signsvc-", answer.ContentHeaders.ContentDisposition!.FileName, StringComparison.Ordinal);
        Assert.Equal("allowed denied denied denied", (await service.Client.GetJsonAsync("/v1/audit?action=backup:Create")).Outcomes());
    }

    /// <summary>Signs before, while and after the backup is taken.</summary>
    private static async Task<byte[]> BackUpUnderLoadAsync(ServiceProcess service)
    {
        using var stop = new CancellationTokenSource();
        var signed = 0;
        var load = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                Assert.Equal(200, (await service.Client.PostJsonAsync("/v1/keys/release/sign", """{"message":"AAAA"}""")).Code);
                Interlocked.Increment(ref signed);
            }
        })).ToArray();
        await SignedAsync(100);
        var backup = await service.Client.PostJsonAsync("/v1/backup");
        Assert.Equal(200, backup.Code);
        await SignedAsync(Volatile.Read(ref signed) + 20);
        await stop.CancelAsync();
        await Task.WhenAll(load);
        return backup.Body;

        async Task SignedAsync(int count)
        {
            while (Volatile.Read(ref signed) < count && !load.Any(t => t.IsFaulted))
                await Task.Yield();
        }
    }

    private static Dictionary<string, long> UsesOnRecord(IEnumerable<BackupItem> items) => items
        .OfType<BackupItem.StoredSegment>()
        .SelectMany(s => System.Text.Encoding.UTF8.GetString(s.Segment.Body.Span).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        .Select(line => JsonSerializer.Deserialize(line, SigningJson.Default.AuditRecord)!)
        .Where(r => r.IsSignature)
        .GroupBy(r => r.Kid!, StringComparer.Ordinal)
        .ToDictionary(g => g.Key, g => (long)g.Count(), StringComparer.Ordinal);

    private static string[] Describe<T>(IEnumerable<BackupItem> items) => [.. items.Where(i => i is T).Select(BackupFormatTests.Describe)];

    private static async Task<List<BackupItem>> ReadAllAsync(string data)
    {
        await using var store = SqliteStore.Open(Path.Combine(data, "signsvc.db"));
        return await store.ReadAllAsync(TestContext.Current.CancellationToken).ToListAsync(TestContext.Current.CancellationToken);
    }

    private static Task<EndedProcess> RestoreAsync(ServiceProcess of, string folder, byte[] backup, params string[] options) =>
        RestoreAsync(File.ReadAllBytes(Path.Combine(of.Data, "root.key")), folder, backup, options);

    private static async Task<EndedProcess> RestoreAsync(byte[]? rootKey, string folder, byte[] backup, params string[] options)
    {
        using var elsewhere = new TemporaryFolder();
        var file = Path.Combine(elsewhere.Path, "signsvc.backup");
        await File.WriteAllBytesAsync(file, backup, TestContext.Current.CancellationToken);
        var root = Path.Combine(folder, "root.key");
        if (rootKey is not null && !File.Exists(root))
        {
            await File.WriteAllBytesAsync(root, rootKey, TestContext.Current.CancellationToken);
            File.SetUnixFileMode(root, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        return await ServiceProcess.RefuseToStartAsync(new ServiceOptions { Data = folder, Arguments = ["restore", .. options, file] });
    }
}
