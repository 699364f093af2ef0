namespace SignSvc.Operations.Tests;

public sealed class MetricsTests
{
    private const string InstallPrometheus = "apt-get install -y prometheus";

    [Fact]
    public async Task What_is_signed_refused_and_waited_for_shows_in_the_metrics()
    {
        await using var service = await ServiceProcess.StartAsync();
        for (var i = 0; i < 3; i++)
            Assert.Equal(200, (await service.Client.PostJsonAsync("/v1/keys/release/sign", """{"message":"aGk="}""")).Code);
        Assert.Equal(201, (await service.Client.PostJsonAsync("/v1/tokens", """{"profile":"default","audience":"a"}""")).Code);
        Assert.Equal(400, (await service.Client.PostJsonAsync("/v1/keys/release/sign", """{"digest":"aGk="}""")).Code);
        Assert.Equal(401, (await service.As(token: null).PostJsonAsync("/v1/keys/release/sign", """{"message":"aGk="}""")).Code);

        var metrics = await Scrape.OfAsync(service.As(token: null));

        Assert.Equal(3, metrics.Sum("signsvc_decisions_total", "signsvc_action=\"keys:Sign\"", "signsvc_outcome=\"allowed\"", "signsvc_key_name=\"release\""));
        Assert.Equal(1, metrics.Sum("signsvc_decisions_total", "error_type=\"invalid-digest\""));
        Assert.Equal(1, metrics.Sum("signsvc_strangers_refused_total"));
        Assert.Equal(3, metrics.Sum("signsvc_signature_duration_seconds_count", "signsvc_tier=\"assured\"", "signsvc_backend=\"software\""));
        Assert.Equal(1, metrics.Sum("signsvc_signature_duration_seconds_count", "signsvc_tier=\"volume\""));
        Assert.Equal(3, metrics.Sum("signsvc_backend_call_duration_seconds_count", "signsvc_backend=\"software\""));
        Assert.InRange(metrics.Sum("signsvc_audit_commit_duration_seconds_count"), 1, 100);
        Assert.Equal(2, metrics.Sum("signsvc_key_enabled"));
        Assert.Equal(1, metrics.Sum("signsvc_jwks_keys"));
        Assert.InRange(metrics.Sum("signsvc_snapshot_age_seconds"), 0, 10);
        Assert.Equal(3, metrics.Sum("http_server_request_duration_seconds_count", "http_route=\"/v1/keys/{key}/sign\"", "http_response_status_code=\"200\""));
    }

    [Fact]
    public async Task States_of_keys_and_credentials_show_in_the_metrics()
    {
        await using var service = await ServiceProcess.StartAsync();
        Assert.Equal(201, (await service.Client.PostJsonAsync(
            "/v1/keys", """{"name":"gone","purpose":"artifacts","tier":"assured","backend":"software","spec":"ECC_NIST_P256","algorithms":["ES256"]}""")).Code);
        Assert.Equal(200, (await service.Client.PostJsonAsync("/v1/keys/release/disable")).Code);
        Assert.Equal(409, (await service.Client.PostJsonAsync(
            "/v1/keys", """{"name":"gone","purpose":"artifacts","tier":"assured","backend":"software","spec":"ECC_NIST_P256","algorithms":["ES256"]}""")).Code);
        Assert.InRange((await service.Client.CallAsync(HttpMethod.Delete, "/v1/keys/gone", "")).Code, 200, 202);
        var soon = TimeProvider.System.GetUtcNow().AddHours(2).ToString("O");
        await service.Client.PostJsonAsync("/v1/credentials", $$"""{"name":"ci","roles":["signer"],"expiresAt":"{{soon}}"}""");

        var metrics = await Scrape.OfAsync(service.Client);

        Assert.Equal(0, metrics.Sum("signsvc_key_enabled", "signsvc_key_name=\"release\""));
        Assert.Equal(1, metrics.Sum("signsvc_decisions_total", "error_type=\"name-taken\""));
        Assert.Equal(0, metrics.Sum("signsvc_decisions_total", "error_type=\"audit-unavailable\""));
        Assert.InRange(metrics.Sum("signsvc_key_deletion_remaining_seconds", "signsvc_key_name=\"gone\""), 86_400, 100 * 86_400);
        Assert.Equal(1, metrics.Sum("signsvc_credentials_expiring", "signsvc_within=\"1d\""));
    }

    [Fact]
    public async Task No_secret_caller_digest_or_subject_shows_in_the_metrics()
    {
        await using var service = await ServiceProcess.StartAsync();
        var made = await service.Client.PostJsonAsync("/v1/credentials", """{"name":"very-private-caller","roles":["signer"]}""");
        using var caller = service.As(made["token"]);
        await caller.PostJsonAsync("/v1/tokens", """{"profile":"default","audience":"secret-audience","subject":"secret-subject"}""");
        await caller.PostJsonAsync("/v1/keys/made-up-name/sign", """{"message":"aGk="}""");
        await caller.GetJsonAsync("/v1/made-up-path");

        var text = (await Scrape.OfAsync(service.Client)).Text;

        foreach (var secret in new[] { "very-private-caller", made["token"], "secret-audience", "secret-subject", "made-up-name", "made-up-path" })
            Assert.DoesNotContain(secret, text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Metrics_are_open_to_this_machine_alone_unless_the_settings_say_otherwise()
    {
        await using var service = await ServiceProcess.StartAsync();
        using var stranger = service.As(token: null);
        Assert.Equal(200, (await stranger.GetJsonAsync("/metrics")).Code);
        stranger.DefaultRequestHeaders.Add("X-Forwarded-For", "192.0.2.1");
        Assert.Equal(401, (await stranger.GetJsonAsync("/metrics")).Code);

        await using var guarded = await ServiceProcess.StartAsync(With("Role"));
        Assert.Equal(401, (await guarded.As(token: null).GetJsonAsync("/metrics")).Code);
        Assert.Equal(403, (await (await CallerAsync(guarded, "signer")).GetJsonAsync("/metrics")).Code);
        Assert.Equal(200, (await (await CallerAsync(guarded, "auditor")).GetJsonAsync("/metrics")).Code);

        await using var silent = await ServiceProcess.StartAsync(With("Off"));
        Assert.Equal(404, (await silent.Client.GetJsonAsync("/metrics")).Code);
    }

    [Fact]
    public async Task The_answer_stays_small_however_many_routes_and_faults_there_were()
    {
        await using var service = await ServiceProcess.StartAsync();
        var paths = (await service.Client.GetJsonAsync("/openapi/v1.json")).Json.GetProperty("paths");
        foreach (var path in paths.EnumerateObject())
        {
            foreach (var method in path.Value.EnumerateObject().Where(m => m.Value.ValueKind == System.Text.Json.JsonValueKind.Object))
            {
                // As somebody, as nobody, and with a body that cannot be read: several status codes for each route.
                var address = path.Name.Replace("{key}", "release", StringComparison.Ordinal);
                foreach (var client in new[] { service.Client, service.As(token: null) })
                    await client.CallAsync(new HttpMethod(method.Name.ToUpperInvariant()), address, method.Name is "post" or "put" or "patch" ? "{" : "");
            }
        }

        var metrics = await Scrape.OfAsync(service.Client);

        // 330 pairs of route and status code; without the cut it is several times as much.
        Assert.InRange(metrics.Text.Length, 10_000, 300_000);
        TestContext.Current.SendDiagnosticMessage($"{metrics.Text.Length} bytes of metrics after {metrics.Sum("http_server_request_duration_seconds_count")} requests");
    }

    [Fact]
    public async Task Prometheus_reads_both_formats()
    {
        await using var service = await ServiceProcess.StartAsync();
        await service.Client.PostJsonAsync("/v1/keys/release/sign", """{"message":"aGk="}""");
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, (await Scrape.OfAsync(service.Client)).Text, TestContext.Current.CancellationToken);
            var lint = await Outside.RunAsync(InstallPrometheus, "sh", ["-c", $"promtool check metrics < {file}"]);
            // It finds fault with names of .NET's own, and with nothing of ours.
            Assert.DoesNotContain("signsvc_", lint.Error, StringComparison.Ordinal);
            Assert.DoesNotContain("error", lint.Error, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }

        using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
        request.Headers.Accept.ParseAdd("application/openmetrics-text;version=1.0.0");
        var open = await service.Client.CallAsync(request);
        Assert.StartsWith("application/openmetrics-text; version=1.0.0", open.ContentHeaders.ContentType!.ToString(), StringComparison.Ordinal);
        Assert.EndsWith("# EOF\n", open.Text, StringComparison.Ordinal);
        Assert.Contains("# TYPE signsvc_decisions counter", open.Text, StringComparison.Ordinal);
    }

    /// <summary>The table of docs/operations.md: the ten indicators that users of key services watch, and what else one looks at.</summary>
    [Fact]
    public async Task What_the_documents_tell_to_watch_is_measured_or_recorded()
    {
        await using var service = await ServiceProcess.StartAsync();
        Assert.Equal(200, (await service.Client.PostJsonAsync("/v1/keys/release/sign", """{"message":"aGk="}""")).Code);
        var known = (await Scrape.OfAsync(service.Client)).Names.ToHashSet(StringComparer.Ordinal);
        var rules = await File.ReadAllTextAsync(Outside.File("deploy", "prometheus", "recording.yml"), TestContext.Current.CancellationToken);
        known.UnionWith(rules.Split('\n').Where(l => l.Contains("- record: ", StringComparison.Ordinal)).Select(l => l.Split(": ")[1].Trim()));

        var page = await File.ReadAllLinesAsync(Outside.File("docs", "operations.md"), TestContext.Current.CancellationToken);
        var rows = page.SkipWhile(l => !l.StartsWith("| what you watch", StringComparison.Ordinal)).Skip(2).TakeWhile(l => l.StartsWith('|')).ToArray();
        Assert.InRange(rows.Length, 10, 30);
        foreach (var row in rows)
        {
            var names = row.Split('`').Where((_, i) => i % 2 == 1).Select(c => c.Split('{')[0]).Where(c => !c.Contains('=', StringComparison.Ordinal)).Where(c => c.StartsWith("signsvc_", StringComparison.Ordinal) || c.StartsWith("signsvc:", StringComparison.Ordinal) || c.StartsWith("http_", StringComparison.Ordinal)).ToArray();
            Assert.NotEmpty(names);
            // A histogram is named as a whole, a family of metrics by its beginning.
            Assert.All(names, name => Assert.Contains(known, k => string.Equals(k, name, StringComparison.Ordinal)
                || string.Equals(k, $"{name}_bucket", StringComparison.Ordinal)
                || (name.EndsWith('…') && k.StartsWith(name.TrimEnd('…'), StringComparison.Ordinal))));
        }
    }

    private static ServiceOptions With(string access) => new()
    {
        Environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["SignSvc__Telemetry__Metrics"] = access },
    };

    private static async Task<HttpClient> CallerAsync(ServiceProcess service, string role) =>
        service.As((await service.Client.PostJsonAsync("/v1/credentials", $$"""{"name":"a-{{role}}","roles":["{{role}}"]}"""))["token"]);
}
