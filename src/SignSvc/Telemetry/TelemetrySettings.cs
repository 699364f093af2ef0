using System.Text.Json.Serialization;
using SignSvc.Operations;

namespace SignSvc.Telemetry;

/// <summary>Who may read <c>/metrics</c>.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<MetricsAccess>))]
public enum MetricsAccess
{
    /// <summary>Nothing is measured, and the address does not exist.</summary>
    Off,

    /// <summary>Callers whose role holds <c>metrics:Read</c>.</summary>
    Role,

    /// <summary>As <c>Role</c>, and without a credential whoever asks from this machine and not through a proxy.</summary>
    Loopback,

    /// <summary>Whoever reaches it. It names keys and says how much is signed: keep others away by the network.</summary>
    Anyone,
}

/// <summary>How the console log is written.</summary>
public enum LogFormat
{
    /// <summary>For people.</summary>
    Text,

    /// <summary>One JSON object a line, with the trace id among its scopes.</summary>
    Json,
}

/// <summary>Metrics, traces and logs for whoever runs the service.</summary>
public sealed record TelemetrySettings
{
    /// <summary>Who may read /metrics: Off, Role, Loopback or Anyone. Behind a proxy on the same machine that does not add X-Forwarded-For, Loopback lets everybody in: use Role there.</summary>
    public MetricsAccess Metrics { get; set; } = MetricsAccess.Loopback;

    /// <summary>Where traces, metrics and logs are sent by OTLP: the collector's base address. Null: OTEL_EXPORTER_OTLP_ENDPOINT, else nowhere. It learns key names, callers' addresses and trace ids.</summary>
    public string? OtlpEndpoint { get; set; }

    /// <summary>OTLP over gRPC on HTTP/2; false: http/protobuf. Collectors listen on 4317 and 4318.</summary>
    public bool OtlpGrpc { get; set; }

    /// <summary>A file with the headers of OTLP requests, name=value, separated by commas: the collector's credential. Read at the start.</summary>
    public string? OtlpHeadersFile { get; set; }

    /// <summary>The share of requests that are traced, from 0 to 1, where the caller's traceparent does not say. Each costs a few spans; 1 under load is dear.</summary>
    [Reloadable]
    public double TraceShare { get; set; } = 0.01;

    /// <summary>Whether a traceparent header that asks for sampling is obeyed. Turn it off where callers could make every request a dear one.</summary>
    [Reloadable]
    public bool TrustTraceparent { get; set; } = true;

    /// <summary>The console log: Text or Json.</summary>
    public LogFormat Log { get; set; } = LogFormat.Text;

    /// <summary>Null: nothing is exported.</summary>
    internal Uri? Endpoint => EndpointText is { Length: > 0 } url ? new Uri(url) : null;

    private string? EndpointText => OtlpEndpoint ?? Environment.GetEnvironmentVariable("OTEL_EXPORTER_OTLP_ENDPOINT");

    internal IEnumerable<string> Check()
    {
        if (EndpointText is { Length: > 0 } text && !(Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https"))
            yield return "Telemetry:OtlpEndpoint (or OTEL_EXPORTER_OTLP_ENDPOINT) is an absolute http or https URL.";
        if (OtlpHeadersFile is not null && !File.Exists(OtlpHeadersFile))
            yield return "Telemetry:OtlpHeadersFile: no such file.";
        else if (OtlpHeadersFile is not null && File.ReadAllText(OtlpHeadersFile).Trim().Split(',').Any(h => h.Trim().IndexOf('=', StringComparison.Ordinal) < 1))
            yield return "Telemetry:OtlpHeadersFile holds name=value, separated by commas.";
        if (TraceShare is not (>= 0 and <= 1))
            yield return "Telemetry:TraceShare is from 0 to 1.";
    }
}
