using System.Diagnostics;
using System.Diagnostics.Metrics;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using SignSvc.Operations;
using SignSvc.Signing.Telemetry;

namespace SignSvc.Telemetry;

/// <summary>OpenTelemetry around the instruments of the rules and of ASP.NET Core: <c>/metrics</c> always, OTLP where it is configured.</summary>
public static class TelemetrySetup
{
    /// <summary>Attribute sets of an instrument that names keys; others have OpenTelemetry's 2,000. Beyond it they are counted together, under <c>otel.metric.overflow</c>.</summary>
    private const int CardinalityOfKeys = 8_000;

    private const int CardinalityOfRoutes = 500;
    private const int CardinalityOfPeers = 50;

    private static readonly double[] RequestSeconds = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5];

    private static readonly string[] Meters =
        [SigningMeters.MeterName, "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "System.Net.Http", "System.Runtime"];

    public static void AddTelemetry(this WebApplicationBuilder builder, TelemetrySettings settings)
    {
        builder.Services.AddSingleton(settings);
        AddLogs(builder.Logging, settings);
        if (settings.Metrics == MetricsAccess.Off && settings.Endpoint is null)
            return;
        builder.Services.AddSingleton<ServiceGauges>();
        builder.Services.AddSingleton(_ => new PrometheusReader());
        builder.Services.AddSingleton(provider => BuildMeters(settings, provider.GetRequiredService<PrometheusReader>()));
        if (settings.Endpoint is null)
            return;
        builder.Services.AddSingleton(new TraceSampling(settings));
        builder.Services.AddSingleton<ITakesSettings>(provider => provider.GetRequiredService<TraceSampling>());
        builder.Services.AddSingleton(provider => BuildTracer(settings, provider.GetRequiredService<TraceSampling>()));
    }

    /// <summary>Before anything else of the pipeline. A span gets the name of its route, never that of its address: addresses hold names that strangers make up.</summary>
    public static void UseTelemetry(this WebApplication app)
    {
        _ = app.Services.GetService<MeterProvider>();
        _ = app.Services.GetService<ServiceGauges>();
        if (app.Services.GetService<TracerProvider>() is null)
            return;
        app.Use(next => async http =>
        {
            await next(http);
            if (Activity.Current is not { IsAllDataRequested: true } span)
                return;
            var route = (http.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText;
            span.DisplayName = route is null ? http.Request.Method : $"{http.Request.Method} {route}";
            span.SetTag("http.request.method", http.Request.Method);
            span.SetTag("http.route", route);
            span.SetTag("http.response.status_code", http.Response.StatusCode);
            if (http.Response.StatusCode >= 500)
                span.SetStatus(ActivityStatusCode.Error);
        });
    }

    private static void AddLogs(ILoggingBuilder logging, TelemetrySettings settings)
    {
        logging.Configure(options => options.ActivityTrackingOptions = ActivityTrackingOptions.TraceId | ActivityTrackingOptions.SpanId);
        if (settings.Log == LogFormat.Json)
            logging.AddJsonConsole(console => console.IncludeScopes = true);
        if (settings.Endpoint is not null)
        {
            logging.AddOpenTelemetry(logs =>
            {
                logs.SetResourceBuilder(Resource());
                logs.IncludeFormattedMessage = true;
                logs.AddOtlpExporter(otlp => Configure(otlp, settings, "v1/logs"));
            });
        }
    }

    /// <summary>
    /// The framework's instruments, cut to what somebody asks for: a route has a few status codes, and each pair of them is
    /// a histogram in every scrape. What is left out altogether has no name in the dashboards and the rules.
    /// </summary>
    private static MetricStreamConfiguration? ViewOf(Instrument instrument) => instrument.Name switch
    {
        "http.server.request.duration" => new ExplicitBucketHistogramConfiguration
        {
            Boundaries = RequestSeconds,
            TagKeys = ["http.route", "http.request.method", "http.response.status_code"],
            CardinalityLimit = CardinalityOfRoutes,
        },
        "http.server.active_requests" => new MetricStreamConfiguration { TagKeys = [] },
        "http.client.request.duration" => new ExplicitBucketHistogramConfiguration
        {
            Boundaries = RequestSeconds,
            TagKeys = ["server.address", "http.response.status_code", "error.type"],
            CardinalityLimit = CardinalityOfPeers,
        },
        "http.client.active_requests" or "http.client.open_connections" => new MetricStreamConfiguration { TagKeys = ["server.address"], CardinalityLimit = CardinalityOfPeers },
        "kestrel.active_connections" or "kestrel.queued_connections" or "kestrel.rejected_connections" or "kestrel.active_tls_handshakes" =>
            new MetricStreamConfiguration { TagKeys = [] },
        "kestrel.connection.duration" or "kestrel.tls_handshake.duration" or "http.client.connection.duration" or "http.client.request.time_in_queue"
            or "kestrel.upgraded_connections" or "kestrel.queued_requests" => MetricStreamConfiguration.Drop,
        _ => null,
    };

    private static MeterProvider BuildMeters(TelemetrySettings settings, PrometheusReader prometheus)
    {
        var builder = Sdk.CreateMeterProviderBuilder()
            .SetResourceBuilder(Resource())
            .AddMeter(Meters)
            .AddView("signsvc.decisions", new MetricStreamConfiguration { CardinalityLimit = CardinalityOfKeys })
            .AddView("signsvc.key.*", new MetricStreamConfiguration { CardinalityLimit = CardinalityOfKeys })
            .AddView(ViewOf)
            .SetExemplarFilter(settings.Endpoint is null ? ExemplarFilterType.AlwaysOff : ExemplarFilterType.TraceBased);
        if (settings.Metrics != MetricsAccess.Off)
            builder.AddReader(prometheus.Reader);
        if (settings.Endpoint is not null)
            builder.AddOtlpExporter(otlp => Configure(otlp, settings, "v1/metrics"));
        return builder.Build();
    }

    private static TracerProvider BuildTracer(TelemetrySettings settings, Sampler sampler)
    {
        return Sdk.CreateTracerProviderBuilder()
            .SetResourceBuilder(Resource())
            .AddSource(SigningSpans.SourceName, "Microsoft.AspNetCore", "Npgsql")
            .SetSampler(sampler)
            .AddOtlpExporter(otlp => Configure(otlp, settings, "v1/traces"))
            .Build();
    }

    private static ResourceBuilder Resource() => ResourceBuilder.CreateDefault()
        .AddService("signsvc", serviceVersion: typeof(TelemetrySetup).Assembly.GetName().Version?.ToString(3));

    private static void Configure(OtlpExporterOptions otlp, TelemetrySettings settings, string path)
    {
        var endpoint = settings.Endpoint!;
        otlp.Protocol = settings.OtlpGrpc ? OtlpExportProtocol.Grpc : OtlpExportProtocol.HttpProtobuf;
        // An address in code is taken as it is; over HTTP each signal has its own path (OTLP 1.0, "Endpoint URLs for OTLP/HTTP").
        otlp.Endpoint = settings.OtlpGrpc ? endpoint : new Uri($"{endpoint.AbsoluteUri.TrimEnd('/')}/{path}");
        if (settings.OtlpHeadersFile is { } file)
            otlp.Headers = File.ReadAllText(file).Trim();
    }
}
