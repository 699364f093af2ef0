using System.Net.Security;
using System.Net.Sockets;

namespace SignSvc.Operations.Tests;

/// <summary>Settings that change while the service runs.</summary>
public sealed class ReloadTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task An_issuer_is_added_changed_and_taken_away_without_a_restart()
    {
        using var settings = new SettingsFile("{}");
        await using var service = await ServiceProcess.StartAsync(settings.Options);
        var (mine, theirs) = (new FileIssuer("https://mine.example"), new FileIssuer("https://theirs.example"));
        using var client = service.As(mine.Token("alice"));
        using var other = service.As(theirs.Token("bob"));
        Assert.Equal(401, (await client.GetJsonAsync("/v1/whoami")).Code);

        settings.Write(Issuers(Issuer(settings, "mine", mine, "Auditor")));
        await UntilAsync(async () => (await client.GetJsonAsync("/v1/keys")).Code == 200);
        Assert.Equal(401, (await other.GetJsonAsync("/v1/whoami")).Code);

        // Another one beside it, and a role less; tokens that were verified before do not keep theirs.
        settings.Write(Issuers(Issuer(settings, "mine", mine, "Signer"), Issuer(settings, "theirs", theirs, "Auditor")));
        await UntilAsync(async () => (await other.GetJsonAsync("/v1/keys")).Code == 200);
        await UntilAsync(async () => (await client.GetJsonAsync("/v1/keys")).Code == 403);

        settings.Write("{}");
        await UntilAsync(async () => (await client.GetJsonAsync("/v1/whoami")).Code == 401);
        Assert.Equal(401, (await other.GetJsonAsync("/v1/whoami")).Code);
    }

    [Theory]
    [InlineData("""{"SignSvc":{"Telemetry":{"TraceShare":7},"Access":{"Issuers":[]}}}""", "Telemetry:TraceShare")]
    [InlineData("""{"SignSvc":{"Telemetri":{"TraceShare":0.5}}}""", "Telemetri")]
    [InlineData("""{"SignSvc":{"RootKeyFile":"/nowhere/root.key"}}""", "RootKeyFile")]
    [InlineData("""{"Logging":{"LogLevel":{"SignSvc":"Loud"}}}""", "Logging:LogLevel:SignSvc")]
    [InlineData("""{"SignSvc":""", "settings.json")]
    public async Task New_settings_in_which_anything_is_wrong_are_refused_whole_and_the_old_ones_stay(string bad, string named)
    {
        using var settings = new SettingsFile("{}");
        var issuer = new FileIssuer("https://mine.example");
        var good = Issuers(Issuer(settings, "mine", issuer, "Auditor"));
        settings.Write(good);
        await using var service = await ServiceProcess.StartAsync(settings.Options);
        using var client = service.As(issuer.Token("alice"));
        Assert.Equal(200, (await client.GetJsonAsync("/v1/keys")).Code);

        settings.Write(bad);
        await UntilAsync(() => Task.FromResult(service.Output.Contains("The new settings are refused", StringComparison.Ordinal)));
        await UntilAsync(() => Task.FromResult(service.Output.Contains(named, StringComparison.Ordinal)));
        Assert.Equal(200, (await client.GetJsonAsync("/v1/keys")).Code);
        Assert.Equal(1, (await Scrape.OfAsync(service.Client)).Sum("signsvc_settings_refused"));

        settings.Write(good + "\n");
        await UntilAsync(async () => (await Scrape.OfAsync(service.Client)).Sum("signsvc_settings_refused") == 0);
        Assert.Equal(200, (await client.GetJsonAsync("/v1/keys")).Code);
    }

    [Fact]
    public async Task Levels_of_the_log_and_limits_change_at_once_and_what_does_not_is_named()
    {
        using var settings = new SettingsFile("{}");
        await using var service = await ServiceProcess.StartAsync(settings.Options);
        Assert.Equal(404, (await service.Client.GetJsonAsync("/v1/keys/nothing")).Code);
        Assert.DoesNotContain("not-found", service.Output, StringComparison.Ordinal);
        var large = $$"""{"message":"{{new string('A', 4096)}}"}""";
        Assert.Equal(200, (await service.Client.PostJsonAsync("/v1/keys/release/sign", large)).Code);

        settings.Write("""{"Logging":{"LogLevel":{"SignSvc":"Debug"}},"SignSvc":{"Limits":{"BodyBytes":2048,"Connections":500}}}""");
        await UntilAsync(() => Task.FromResult(service.Output.Contains("count from the next start", StringComparison.Ordinal)));
        Assert.Contains("count from the next start: Limits:Connections", service.Output, StringComparison.Ordinal);
        // On a connection that is open the limit of its last answer holds for one more request.
        await UntilAsync(async () => (await service.Client.PostJsonAsync("/v1/keys/release/sign", large)).Code == 413);
        Assert.Equal(404, (await service.Client.GetJsonAsync("/v1/keys/nothing")).Code);
        await UntilAsync(() => Task.FromResult(service.Output.Contains("not-found", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task What_waits_for_a_start_is_named_at_every_change_until_it_is_taken_back()
    {
        const string Waits = "count from the next start: Limits:Connections";
        using var settings = new SettingsFile("{}");
        await using var service = await ServiceProcess.StartAsync(settings.Options);

        settings.Write("""{"SignSvc":{"Limits":{"Connections":500}}}""");
        await UntilAsync(() => Task.FromResult(Times(service, Waits) == 1));
        settings.Write("""{"SignSvc":{"Limits":{"BodyBytes":2048,"Connections":500}}}""");
        await UntilAsync(() => Task.FromResult(Times(service, Waits) == 2));
        Assert.Equal(1, Times(service, "are in force: Limits:BodyBytes"));

        settings.Write("""{"SignSvc":{"Limits":{"BodyBytes":4096}}}""");
        await UntilAsync(() => Task.FromResult(Times(service, "are in force: Limits:BodyBytes") == 2));
        settings.Write("""{"SignSvc":{"Limits":{"BodyBytes":8192}}}""");
        await UntilAsync(() => Task.FromResult(Times(service, "are in force: Limits:BodyBytes") == 3));
        Assert.Equal(2, Times(service, "count from the next start"));
    }

    [Fact]
    public async Task SIGHUP_reads_the_settings_again_and_ends_nothing()
    {
        using var settings = new SettingsFile("{}");
        await using var service = await ServiceProcess.StartAsync(settings.Options);
        Assert.Equal(0, (await Outside.RunAsync("apt-get install -y procps", "kill", ["-HUP", $"{service.ProcessId}"])).ExitCode);
        await UntilAsync(() => Task.FromResult(service.Output.Contains("Settings were read again", StringComparison.Ordinal)));
        Assert.Equal(200, (await service.Client.GetJsonAsync("/healthz/ready")).Code);
    }

    [Fact]
    public async Task A_renewed_certificate_is_served_from_the_next_connection_on_and_a_damaged_one_changes_nothing()
    {
        using var settings = new SettingsFile("{}");
        var files = new ServedCertificate(settings.Folder);
        var first = files.Renew(TimeSpan.FromDays(30));
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Environment = new Dictionary<string, string>([.. settings.Options.Environment, .. files.Environment], StringComparer.Ordinal),
        });
        var line = service.Output.Split('\n').First(l => l.StartsWith("SignSvc serves", StringComparison.Ordinal));
        var port = new Uri(line.Split(' ', ';').First(w => w.StartsWith("https://", StringComparison.Ordinal))).Port;
        Assert.Equal(first, await ServedAsync(port));

        await File.WriteAllTextAsync(files.File, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", TestContext.Current.CancellationToken);
        await UntilAsync(() => Task.FromResult(service.Output.Contains("the last good one stays", StringComparison.Ordinal)));
        Assert.Equal(first, await ServedAsync(port));

        files.RenewWithoutKey(TimeSpan.FromDays(60));
        await UntilAsync(() => Task.FromResult(service.Output.Contains("does not belong to it", StringComparison.Ordinal)));
        Assert.Equal(first, await ServedAsync(port));

        var second = files.Renew(TimeSpan.FromDays(90));
        await UntilAsync(async () => string.Equals(second, await ServedAsync(port), StringComparison.Ordinal));
        Assert.InRange((await Scrape.OfAsync(service.Client)).Sum("signsvc_certificate_remaining_seconds"), 89 * 86_400, 91 * 86_400);
    }

    private static string Issuer(SettingsFile settings, string name, FileIssuer issuer, string role) =>
        $$"""{"Name":"{{name}}","Issuer":"https://{{name}}.example","Audiences":["signsvc"],"JwksFile":"{{settings.Beside($"{name}.json", issuer.KeySet)}}","Roles":[{"Role":"{{role}}","When":[{"Claim":"sub"}]}]}""";

    private static string Issuers(params string[] issuers) => "{\"SignSvc\":{\"Access\":{\"Issuers\":[" + string.Join(',', issuers) + "]}}}";

    private static int Times(ServiceProcess service, string said) => service.Output.Split(said).Length - 1;

    private static async Task<string> ServedAsync(int port)
    {
        using var tcp = new TcpClient();
        await tcp.ConnectAsync("127.0.0.1", port, TestContext.Current.CancellationToken);
        // Which certificate it is is asked, not whether it is trusted.
        await using var tls = new SslStream(tcp.GetStream(), leaveInnerStreamOpen: false, (_, certificate, _, _) => certificate is not null);
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "localhost", AllowTlsResume = false }, TestContext.Current.CancellationToken);
        return tls.RemoteCertificate!.GetCertHashString();
    }

    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        var from = TimeProvider.System.GetTimestamp();
        while (!await holds())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(from) < Patience, "It did not come in time.");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }
}
