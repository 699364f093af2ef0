using System.Diagnostics;
using Microsoft.Data.Sqlite;

namespace SignSvc.Tests;

/// <summary>What stands in the way of a start is said in a line or two, and nothing is repaired or half made.</summary>
public sealed class StartTests : IAsyncLifetime
{
    private const int FirstStarts = 12;

    /// <summary>What a first start leaves in its folder, in this order.</summary>
    private static readonly string[] Steps = ["", "lock", "root.key", "signsvc.db", "signsvc.db-wal", "bootstrap.credential"];

    private readonly string _folder = Directory.CreateTempSubdirectory("signsvc-start-").FullName;
    private string? _mounted;

    private string Data => Path.Combine(_folder, "data");

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if (_mounted is not null)
            await RunAsync("umount", "-l", _mounted);
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Folder_and_files_are_closed_to_others_whatever_the_mask()
    {
        await using var service = await ServiceProcess.StartAsync();
        await service.Client.MustPostAsync(200, "/v1/keys/release/sign", $$"""{"digest":"{{Expectations.Base64Digest("x")}}"}""");
        Assert.Equal(Convert.ToInt32("700", 8), (int)File.GetUnixFileMode(service.Data));
        var files = Directory.GetFiles(service.Data);
        Assert.True(files.Length >= 4);
        Assert.All(files, f => Assert.Equal(Convert.ToInt32("600", 8), (int)File.GetUnixFileMode(f)));
    }

    [Fact]
    public async Task A_tour_without_the_first_administrator_s_credential_ends_and_the_service_goes_on()
    {
        await using (var first = await ServiceProcess.StartAsync(new ServiceOptions { Data = Data }))
            await first.StopAsync();
        File.Delete(Path.Combine(Data, "bootstrap.credential"));

        await using var service = ServiceProcess.Launch(new ServiceOptions { Data = Data, Arguments = ["tour", Environment.ProcessPath!] });
        using var waited = RunningTime.Start();
        while (!service.HasExited && !service.Output.Contains("The tour stopped", StringComparison.Ordinal))
        {
            Assert.True(waited.Elapsed < TimeSpan.FromSeconds(60), service.Output);
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, TestContext.Current.CancellationToken);
        }

        Assert.False(service.HasExited, service.Error);
        Assert.Equal(200, (await service.As(token: null).GetJsonAsync("/healthz/ready")).Code);
    }

    [Fact]
    public async Task A_folder_in_use_is_refused_to_a_second_service()
    {
        await using var service = await ServiceProcess.StartAsync();
        await MustRefuseAsync(service.Data, "in use by another SignSvc");
        await service.Client.MustGetAsync("/v1/keys/release");
    }

    [Fact]
    public async Task A_read_only_folder_is_refused()
    {
        await MountAsync("1m");
        await RunAsync("mount", "-o", "remount,ro", Data);
        await MustRefuseAsync(Data, "Read-only file system");
    }

    /// <summary>At every size there is a file that no longer fits; with space again the start is a first start.</summary>
    [Fact]
    public async Task A_full_disk_is_refused_and_leaves_nothing_that_bars_the_next_start()
    {
        await MountAsync("2m");
        foreach (var free in (int[])[0, 8, 40, 96])
        {
            await FillAllButAsync(free * 1024);
            var ended = await MustRefuseAsync(Data, "");
            Assert.Matches("(?i)full|space", ended.Error);
            File.Delete(Path.Combine(Data, "filler"));
        }

        await using var service = await ServiceProcess.StartAsync(new ServiceOptions { Data = Data });
        await service.Client.MustPostAsync(200, "/v1/keys/release/sign", $$"""{"digest":"{{Expectations.Base64Digest("x")}}"}""");
    }

    [Fact]
    public async Task A_newer_database_is_refused_and_left_as_it_is()
    {
        await MakeAsync();
        await SqlAsync("PRAGMA user_version = 99");
        var before = await File.ReadAllBytesAsync(Database, Cancellation);
        await MustRefuseAsync(Data, "99");
        Assert.Equal(before, await File.ReadAllBytesAsync(Database, Cancellation));
    }

    [Fact]
    public async Task Another_program_s_database_is_refused()
    {
        await MakeAsync();
        await SqlAsync("PRAGMA application_id = 1");
        await MustRefuseAsync(Data, "another program");
    }

    [Theory]
    [InlineData("text")]
    [InlineData("half")]
    [InlineData("header")]
    [InlineData("empty")]
    [InlineData("missing")]
    public async Task A_damaged_database_is_refused_and_not_repaired(string damage)
    {
        await MakeAsync();
        var whole = await File.ReadAllBytesAsync(Database, Cancellation);
        var damaged = damage switch
        {
            "text" => "this is no database, but it is long enough to be one\n"u8.ToArray(),
            "half" => whole[..(whole.Length / 2)],
            "header" => [.. new byte[100], .. whole[100..]],
            _ => [],
        };
        if (damage is "missing")
            File.Delete(Database);
        else
            await File.WriteAllBytesAsync(Database, damaged, Cancellation);

        await MustRefuseAsync(Data, "atabase");
        if (damage is not "missing")
            Assert.Equal(damaged, await File.ReadAllBytesAsync(Database, Cancellation));
    }

    [Theory]
    [InlineData("documents", "body")]
    [InlineData("documents", "seal")]
    [InlineData("audit_segments", "body")]
    [InlineData("audit_segments", "seal")]
    public async Task A_flipped_bit_in_what_was_stored_is_refused(string table, string column)
    {
        await MakeAsync();
        var whole = await File.ReadAllBytesAsync(Database, Cancellation);
        var random = new Random(11);
        var order = table is "documents" ? "kind, id" : "id";
        var rows = (int)(long)(await ScalarAsync($"SELECT count(*) FROM {table}"))!;
        foreach (var row in Enumerable.Range(0, rows).OrderBy(_ => random.Next()).Take(2))
        {
            await File.WriteAllBytesAsync(Database, whole, Cancellation);
            var blob = (byte[])(await ScalarAsync($"SELECT {column} FROM {table} ORDER BY {order} LIMIT 1 OFFSET {row}"))!;
            // A long blob goes on in another page; its first bytes stand together. SQLite may have left an older copy of them behind.
            var piece = blob[..Math.Min(blob.Length, 64)];
            var (place, bit) = (random.Next(piece.Length), (byte)(1 << random.Next(7)));
            var damaged = whole.ToArray();
            var at = damaged.AsSpan().IndexOf(piece);
            Assert.True(at > 0, "The blob is not found in the file.");
            for (; at >= 0; at = damaged.AsSpan().IndexOf(piece))
                damaged[at + place] ^= bit;
            await File.WriteAllBytesAsync(Database, damaged, Cancellation);
            await MustRefuseAsync(Data, "seal");
        }
    }

    /// <summary>What a killed service leaves stands in SQLite's log. Of the last two commits a damaged one looks like one that a crash cut short.</summary>
    [Fact]
    public async Task A_damaged_log_is_refused_and_loses_no_commit_unsaid()
    {
        await using (var service = await ServiceProcess.StartAsync(new ServiceOptions { Data = Data }))
        {
            for (var i = 0; i < 30; i++)
                await service.Client.MustPostAsync(200, "/v1/keys/release/sign", $$"""{"digest":"{{Expectations.Base64Digest($"{i}")}}"}""");
            await service.KillAsync();
        }

        var log = Database + "-wal";
        var whole = await File.ReadAllBytesAsync(log, Cancellation);
        var database = await File.ReadAllBytesAsync(Database, Cancellation);
        var random = new Random(5);
        for (var i = 0; i < 6; i++)
        {
            var damaged = whole.ToArray();
            damaged[i == 0 ? 20 : random.Next(whole.Length * 3 / 4)] ^= (byte)(1 << random.Next(8));
            await File.WriteAllBytesAsync(log, damaged, Cancellation);
            await File.WriteAllBytesAsync(Database, database, Cancellation);
            await MustRefuseAsync(Data, "atabase");
        }

        // As it was left it is no damage.
        await File.WriteAllBytesAsync(log, whole, Cancellation);
        await File.WriteAllBytesAsync(Database, database, Cancellation);
        await using var again = await ServiceProcess.StartAsync(new ServiceOptions { Data = Data });
        Assert.Equal(30, (await again.Client.MustGetAsync("/v1/audit?action=keys:Sign")).Json.GetProperty("records").GetArrayLength());
    }

    [Theory]
    [InlineData("missing", "root key")]
    [InlineData("other", "The root key is not the one that everything here was written with")]
    [InlineData("short", "damaged")]
    [InlineData("text", "damaged")]
    [InlineData("empty", "damaged")]
    [InlineData("readable", "chmod 600")]
    public async Task A_root_key_that_is_not_as_it_was_is_refused(string fault, string words)
    {
        await MakeAsync();
        var path = Path.Combine(Data, "root.key");
        switch (fault)
        {
            case "missing":
                File.Delete(path);
                break;
            case "readable":
                File.SetUnixFileMode(path, File.GetUnixFileMode(path) | UnixFileMode.OtherRead);
                break;
            default:
                await File.WriteAllTextAsync(path, fault switch
                {
                    "other" => Convert.ToBase64String(new byte[32]) + "\n",
                    "short" => Convert.ToBase64String(new byte[31]) + "\n",
                    "text" => new string('!', 44),
                    _ => "",
                }, Cancellation);
                break;
        }

        await MustRefuseAsync(Data, words);
    }

    [Fact]
    public async Task Unknown_and_wrong_settings_are_named_all_at_once()
    {
        var ended = await MustRefuseAsync(
            Data, "settings are wrong",
            ("SignSvc__Requirehardwear", "true"), ("SignSvc__Audit__Timeout", "5"), ("SignSvc__Audit__CommitTimeoutMilliseconds", "soon"),
            ("SignSvc__Limits__Connections", "many"), ("SignSvc__Limits__BodyBytes", "1"), ("SignSvc__PublicUrl", "ftp://x/"),
            ("SignSvc__RequireHardware", "maybe"), ("SignSvc__RootKeyFile__Path", "/x"));
        foreach (var name in (string[])
            ["Requirehardwear", "Audit:Timeout", "Audit:CommitTimeoutMilliseconds", "Limits:Connections", "Limits:BodyBytes", "PublicUrl", "RequireHardware", "RootKeyFile:Path"])
            Assert.Contains(name, ended.Error, StringComparison.OrdinalIgnoreCase);
        Assert.False(Directory.Exists(Data));
    }

    [Theory]
    [InlineData("http://127.0.0.1:1x")]
    [InlineData("nonsense")]
    [InlineData("http://203.0.113.7:80")]
    [InlineData("TAKEN")]
    public async Task An_address_that_cannot_be_served_is_named(string url)
    {
        using var taken = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        taken.Start();
        url = url.Replace("TAKEN", $"http://{taken.LocalEndpoint}", StringComparison.Ordinal);
        await MustRefuseAsync(Data, url[(url.LastIndexOf('/') + 1)..], ("ASPNETCORE_URLS", url));
        Assert.False(Directory.Exists(Data), "A start that cannot serve makes no keys.");
    }

    /// <summary>kill -9 at moments all through a first start; the next start has to be whole.</summary>
    [Fact]
    public async Task A_first_start_that_was_killed_is_finished_by_the_next()
    {
        var random = new Random(3);
        var cut = 0;
        // Goes on where most starts were quicker than the kill.
        var i = 0;
        for (; i < FirstStarts || (cut < FirstStarts / 3 && i < 10 * FirstStarts); i++)
        {
            var data = Path.Combine(_folder, $"first-{i}");
            await using var first = ServiceProcess.Launch(new ServiceOptions { Data = data });
            // Counted from a trace of the start in the folder, so that the moments hit its steps on every machine.
            var trace = Path.Combine(data, Steps[i % Steps.Length]);
            while (!Path.Exists(trace) && !first.HasExited)
                await Task.Yield();
            await Task.Delay(TimeSpan.FromMilliseconds(random.Next(60)), TimeProvider.System, Cancellation);
            await first.KillAsync();
            if (!first.Output.Contains("SignSvc serves", StringComparison.Ordinal))
                cut++;

            await using var second = await ServiceProcess.StartAsync(new ServiceOptions { Data = data });
            await second.Client.MustPostAsync(200, "/v1/keys/release/sign", $$"""{"digest":"{{Expectations.Base64Digest("x")}}"}""");
            await second.Client.MustPostAsync(201, "/v1/tokens", """{"profile":"default","audience":"a"}""");
            Assert.Equal("True", (await second.Client.MustGetAsync("/v1/audit/check"))["intact"]);
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{cut} of {i} first starts were cut short");
        Assert.InRange(cut, FirstStarts / 3, i);
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Database => Path.Combine(Data, "signsvc.db");

    /// <summary>A folder as a service leaves it that was stopped.</summary>
    private async Task MakeAsync()
    {
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions { Data = Data });
        for (var i = 0; i < 5; i++)
            await service.Client.MustPostAsync(200, "/v1/keys/release/sign", $$"""{"digest":"{{Expectations.Base64Digest($"{i}")}}"}""");
        Assert.Equal(0, await service.StopAsync());
        Assert.False(File.Exists(Database + "-wal"), "A stopped service leaves its log in the database.");
    }

    private static async Task<EndedProcess> MustRefuseAsync(string data, string words, params (string Name, string Value)[] environment)
    {
        var ended = await ServiceProcess.RefuseToStartAsync(new ServiceOptions
        {
            Data = data,
            Environment = environment.ToDictionary(e => e.Name, e => e.Value, StringComparer.Ordinal),
        });
        Assert.Equal(1, ended.ExitCode);
        Assert.StartsWith("SignSvc did not start.", ended.Error, StringComparison.Ordinal);
        Assert.Contains(words, ended.Error, StringComparison.Ordinal);
        Assert.Empty(ended.Output.Trim());
        Assert.DoesNotContain("   at ", ended.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", ended.Error, StringComparison.Ordinal);
        return ended;
    }

    private async Task MountAsync(string size)
    {
        Directory.CreateDirectory(Data);
        await RunAsync("mount", "-t", "tmpfs", "-o", $"size={size}", "none", Data);
        _mounted = Data;
    }

    private async Task FillAllButAsync(long free)
    {
        var left = new DriveInfo(Data).AvailableFreeSpace - free;
        await File.WriteAllBytesAsync(Path.Combine(Data, "filler"), new byte[left], Cancellation);
    }

    private async Task SqlAsync(string sql) => await ScalarAsync(sql);

    private async Task<object?> ScalarAsync(string sql)
    {
        await using var connection = new SqliteConnection($"Data Source={Database};Pooling=False");
        await connection.OpenAsync(Cancellation);
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        return await command.ExecuteScalarAsync(Cancellation);
    }

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, UseShellExecute = false })!;
        var error = await process.StandardError.ReadToEndAsync(CancellationToken.None);
        await process.WaitForExitAsync(CancellationToken.None);
        Assert.True(process.ExitCode == 0, $"{program} needs root and {error}");
    }
}
