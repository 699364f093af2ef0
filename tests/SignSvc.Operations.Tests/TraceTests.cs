using System.Text.Json;

namespace SignSvc.Operations.Tests;

public sealed class TraceTests
{
    private const string TraceId = "4bf92f3577b34da6a3ce929d0e0e4736";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task One_assured_signature_has_the_same_trace_id_in_its_spans_its_record_the_log_and_a_problem()
    {
        await using var collector = new Collector();
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Environment = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["SignSvc__Telemetry__OtlpEndpoint"] = collector.Url.AbsoluteUri,
                ["SignSvc__Telemetry__Log"] = "Json",
                ["Logging__LogLevel__SignSvc"] = "Debug",
                ["OTEL_BSP_SCHEDULE_DELAY"] = "200",
            },
        });

        // The same trace: a signature, and a refusal once policy had its say.
        var signed = await SignAsync(service, """{"message":"aGk="}""");
        Assert.Equal(200, signed.Code);
        var refused = await SignAsync(service, """{"message":"aGk=","version":99}""");
        Assert.Equal(404, refused.Code);

        Assert.Equal(TraceId, refused["traceId"]);
        foreach (var auditId in new[] { signed["auditId"], refused["auditId"] })
        {
            var record = (await service.Client.GetJsonAsync($"/v1/audit?auditId={auditId}")).Json.GetProperty("records")[0];
            Assert.Equal(TraceId, record.GetProperty("traceId").GetString());
        }

        // A span ends, and is sent, after those beneath it.
        await UntilAsync(() => Trace(collector).Count(s => s.Name is "signsvc.audit") >= 2 && Signature(Trace(collector)) is not null);
        var spans = Trace(collector);
        var root = Signature(spans)!;
        Assert.Equal("00f067aa0ba902b7", root.ParentId);
        Assert.Equal(["signsvc.policy", "signsvc.backend", "signsvc.audit"], spans.Where(s => string.Equals(s.ParentId, root.SpanId, StringComparison.Ordinal)).Select(s => s.Name).OrderBy(n => Array.IndexOf(Steps, n)), StringComparer.Ordinal);

        await UntilAsync(() => service.Output.Contains("not-found", StringComparison.Ordinal));
        var line = service.Output.Split('\n').First(l => l.Contains("not-found", StringComparison.Ordinal));
        Assert.Contains(TraceId, line, StringComparison.Ordinal);
        Assert.Contains(refused["auditId"], line, StringComparison.Ordinal);
        Assert.Equal("Debug", JsonSerializer.Deserialize<JsonElement>(line).GetProperty("LogLevel").GetString());

        static Span? Signature(Span[] spans) => Array.Find(spans, s => s.Name is "POST /v1/keys/{key}/sign"
            && spans.Any(b => b.Name is "signsvc.backend" && string.Equals(b.ParentId, s.SpanId, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_signature_by_AWS_KMS_shows_its_wait_its_tries_and_the_name_of_the_call()
    {
        await using var kms = await EmulatedKms.StartAsync();
        await using var collector = new Collector();
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Environment = new Dictionary<string, string>(kms.Environment, StringComparer.Ordinal)
            {
                ["SignSvc__Telemetry__OtlpEndpoint"] = collector.Url.AbsoluteUri,
                ["OTEL_BSP_SCHEDULE_DELAY"] = "200",
            },
        });
        Assert.Equal(201, (await service.Client.PostJsonAsync(
            "/v1/keys", """{"name":"kms","purpose":"artifacts","tier":"assured","backend":"aws-kms","spec":"ECC_NIST_P256","algorithms":["ES256"]}""")).Code);

        var signed = await SignAsync(service, """{"message":"aGk="}""", key: "kms");
        Assert.Equal(200, signed.Code);

        await UntilAsync(() => Trace(collector).Any(s => s.Name is "signsvc.audit"));
        var spans = Trace(collector);
        var backend = spans.Single(s => s.Name is "signsvc.backend");
        Assert.Equal(backend.SpanId, spans.Single(s => s.Name is "signsvc.budget").ParentId);
        var record = (await service.Client.GetJsonAsync($"/v1/audit?auditId={signed["auditId"]}")).Json.GetProperty("records")[0];
        Assert.Equal(record.GetProperty("backendRequestId").GetString(), backend.Attributes["signsvc.backend.request_id"]);
        Assert.Equal(TraceId, record.GetProperty("traceId").GetString());

        var metrics = await Scrape.OfAsync(service.Client);
        Assert.Equal(1, metrics.Sum("signsvc_backend_tries_total", "signsvc_budget=\"aws-kms", "ECC\"", "signsvc_retry=\"false\""));
        Assert.Equal(1000, metrics.Sum("signsvc_budget_quota", "/ECC\""));
    }

    [Fact]
    public async Task Traces_metrics_and_logs_are_all_exported()
    {
        // The end of the service waits for its exports, for 5 s: on a busy machine that may be too little once.
        string[] exported = [];
        for (var i = 0; i < 3 && exported.Length < 3; i++)
            exported = await ExportedAsync();
        Assert.Equal(["/v1/logs", "/v1/metrics", "/v1/traces"], exported, StringComparer.Ordinal);
    }

    [Fact]
    public async Task Callers_who_are_not_trusted_with_it_have_no_say_in_what_is_traced()
    {
        await using var collector = new Collector();
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Environment = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["SignSvc__Telemetry__OtlpEndpoint"] = collector.Url.AbsoluteUri,
                ["SignSvc__Telemetry__TraceShare"] = "0.01",
                ["SignSvc__Telemetry__TrustTraceparent"] = "false",
            },
        });
        // Ids that are within every share, and ids that are in none; all ask to be traced.
        string[] ids = [.. ((string[])["0000000000000000", "7fffffffffffffff"]).SelectMany(half => Enumerable.Range(1, 30).Select(i => $"{half}{i:x16}"))];
        foreach (var id in ids)
            Assert.Equal(200, (await SignAsync(service, """{"message":"aGk="}""", id: id)).Code);
        // What is left is sent when the service ends.
        Assert.Equal(0, await service.StopAsync());
        var traced = collector.Spans.Select(s => s.TraceId).Intersect(ids, StringComparer.Ordinal).Count();
        Assert.True(traced <= 10, $"{traced} of {ids.Length} are traced.");
    }

    [Fact]
    public async Task Nothing_is_traced_where_nothing_is_configured()
    {
        await using var service = await ServiceProcess.StartAsync();
        var refused = await SignAsync(service, """{"message":"aGk=","version":99}""");
        // The trace id is the caller's all the same: its own telemetry finds the record by it.
        Assert.Equal(TraceId, refused["traceId"]);
    }

    [Fact]
    public async Task A_stranger_who_asks_why_is_found_by_the_trace_id_that_he_was_told()
    {
        await using var service = await ServiceProcess.StartAsync();
        using var request = Traced(HttpMethod.Get, "/v1/whoami");
        request.Headers.Authorization = new("Bearer", "wrong");
        var refused = await service.Client.CallAsync(request);
        Assert.Equal(401, refused.Code);

        Assert.Equal(TraceId, refused["traceId"]);
        var record = (await service.Client.GetJsonAsync("/v1/audit?caller=unknown")).Json.GetProperty("records")[0];
        Assert.Equal(TraceId, record.GetProperty("traceId").GetString());
    }

    private static async Task<string[]> ExportedAsync()
    {
        await using var collector = new Collector();
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Environment = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["SignSvc__Telemetry__OtlpEndpoint"] = collector.Url.AbsoluteUri,
                ["SignSvc__Telemetry__TraceShare"] = "1",
                ["Logging__LogLevel__SignSvc"] = "Debug",
                ["OTEL_METRIC_EXPORT_INTERVAL"] = "300",
            },
        });
        await service.Client.PostJsonAsync("/v1/keys/nothing/sign", """{"message":"aGk="}""");
        // What is left is sent when the service ends.
        Assert.Equal(0, await service.StopAsync());
        return [.. collector.Requests.Keys.Order(StringComparer.Ordinal)];
    }

    private static readonly string[] Steps = ["signsvc.policy", "signsvc.budget", "signsvc.backend", "signsvc.audit"];

    private static Task<JsonAnswer> SignAsync(ServiceProcess service, string body, string key = "release", string id = TraceId)
    {
        var request = Traced(HttpMethod.Post, $"/v1/keys/{key}/sign", id);
        request.Content = new StringContent(body, System.Text.Encoding.UTF8, "application/json");
        return service.Client.CallAsync(request);
    }

    private static HttpRequestMessage Traced(HttpMethod method, string path, string id = TraceId)
    {
        var request = new HttpRequestMessage(method, path);
        request.Headers.Add("traceparent", $"00-{id}-00f067aa0ba902b7-01");
        return request;
    }

    private static Span[] Trace(Collector collector) => [.. collector.Spans.Where(s => s.TraceId is TraceId)];

    private static async Task UntilAsync(Func<bool> holds)
    {
        var from = TimeProvider.System.GetTimestamp();
        while (!holds())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(from) < Patience, "It did not come in time.");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }
}
