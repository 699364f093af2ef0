namespace SignSvc.Operations.Tests;

public sealed class SettingsTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task The_reference_of_all_settings_is_true()
    {
        var written = await RunAsync(["--settings"]);
        Assert.Equal(0, written.ExitCode);
        var kept = await File.ReadAllTextAsync(Outside.File("docs", "configuration.md"), TestContext.Current.CancellationToken);
        Assert.True(string.Equals(written.Output, kept, StringComparison.Ordinal), "Settings have changed. Run: dotnet run --project src/SignSvc -- --settings > docs/configuration.md");
    }

    [Fact]
    public async Task A_check_names_every_fault_at_once_and_starts_nothing()
    {
        var data = Directory.CreateTempSubdirectory("signsvc-check-").FullName;
        try
        {
            var bad = await RunAsync(
                ["--check"], ("SIGNSVC_DATA", Path.Combine(data, "d")), ("SignSvc__Nonsense", "1"), ("SignSvc__Node", "A B"),
                ("SignSvc__Limits__BodyBytes", "many"), ("SignSvc__Telemetry__TraceShare", "2"), ("SignSvc__Shutdown__GraceSeconds", "0"),
                ("SignSvc__RootKeyFile", "/nowhere/root.key"), ("ASPNETCORE_URLS", "http://127.0.0.1:8o80"));
            Assert.Equal(1, bad.ExitCode);
            foreach (var fault in new[] { "Nonsense", "Node must", "BodyBytes", "TraceShare", "GraceSeconds", "RootKeyFile", "8o80" })
                Assert.Contains(fault, bad.Error, StringComparison.Ordinal);

            var good = await RunAsync(["--check"], ("SIGNSVC_DATA", Path.Combine(data, "d")));
            Assert.Equal(0, good.ExitCode);
            Assert.Empty(Directory.GetFileSystemEntries(data));
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }
    }

    [Theory]
    [InlineData("/proc/signsvc")]
    [InlineData("/dev/null/signsvc")]
    [InlineData("/etc/hostname")]
    public async Task A_data_folder_that_cannot_be_is_named_beside_the_other_faults(string folder)
    {
        foreach (var arguments in new[] { new[] { "--check" }, [] })
        {
            var ended = await RunAsync(arguments, ("SIGNSVC_DATA", folder), ("SignSvc__Nonsense", "1"), ("SignSvc__RootKeyFile", "/nowhere/root.key"));
            Assert.Equal(1, ended.ExitCode);
            foreach (var fault in new[] { folder, "Nonsense", "RootKeyFile" })
                Assert.Contains(fault, ended.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_start_warns_of_nothing()
    {
        await using var service = await ServiceProcess.StartAsync();
        Assert.Equal(0, await service.StopAsync());
        Assert.DoesNotContain("warn:", service.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_health_check_says_by_its_exit_code_whether_the_service_serves()
    {
        await using var service = await ServiceProcess.StartAsync();
        // It gives up after 3 s, which on a busy machine says nothing of the service: an orchestrator asks again, too.
        var from = TimeProvider.System.GetTimestamp();
        var healthy = await CheckAsync();
        while (healthy.ExitCode != 0 && TimeProvider.System.GetElapsedTime(from) < Patience)
            healthy = await CheckAsync();
        Assert.True(healthy.ExitCode == 0, healthy.ToString());
        await service.KillAsync();
        Assert.Equal(1, (await CheckAsync()).ExitCode);

        Task<Ended> CheckAsync() => RunAsync(["--healthcheck"], ("ASPNETCORE_URLS", service.Url.AbsoluteUri.TrimEnd('/')));
    }

    private static Task<Ended> RunAsync(string[] arguments, params (string Name, string Value)[] environment) => Outside.RunAsync(
        "see README.md", "dotnet", [Outside.Service, .. arguments], environment.ToDictionary(e => e.Name, e => e.Value, StringComparer.Ordinal));
}
