using System.Net;
using System.Text;
using SignSvc.Access;
using SignSvc.Signing;
using SignSvc.Signing.Access;

namespace SignSvc.Telemetry;

/// <summary>
/// <c>GET /metrics</c>. It names keys, and no caller, secret, digest or subject. A read is not put on record: scrapes
/// are many, and the figures are wanted most when the audit cannot be written. A refusal is.
/// </summary>
public static class MetricsEndpoint
{
    private const string Classic = "text/plain; version=0.0.4; charset=utf-8";
    private const string OpenMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    public static void MapMetrics(this WebApplication app)
    {
        var settings = app.Services.GetRequiredService<TelemetrySettings>();
        if (settings.Metrics == MetricsAccess.Off)
            return;
        app.MapGet("/metrics", (HttpContext http, PrometheusReader reader, Decisions decisions, CancellationToken cancellationToken) =>
                ReadAsync(http, settings.Metrics, reader, decisions, cancellationToken))
            .AllowAnonymous().WithTags("Operations").WithName("ReadMetrics").Produces(200, contentType: "text/plain");
    }

    private static async Task<IResult> ReadAsync(
        HttpContext http, MetricsAccess access, PrometheusReader reader, Decisions decisions, CancellationToken cancellationToken)
    {
        if (!IsOpenTo(http, access))
            await AuthoriseAsync(http, decisions);
        var accept = http.Request.Headers.Accept.ToString();
        var openMetrics = accept.Contains("application/openmetrics-text", StringComparison.OrdinalIgnoreCase);
        http.Response.Headers.CacheControl = "no-store";
        var text = await reader.ReadAsync(openMetrics, cancellationToken)
            ?? throw new SigningException(SigningFault.Overloaded, "The metrics could not be collected in time.");
        return TypedResults.Text(Encoding.UTF8.GetBytes(text), openMetrics ? OpenMetrics : Classic);
    }

    private static bool IsOpenTo(HttpContext http, MetricsAccess access) => access switch
    {
        MetricsAccess.Anyone => true,
        // A proxy on this machine asks for others.
        MetricsAccess.Loopback => http.Connection.RemoteIpAddress is { } peer && IPAddress.IsLoopback(peer)
            && !http.Request.Headers.ContainsKey("X-Forwarded-For") && !http.Request.Headers.ContainsKey("Forwarded"),
        _ => false,
    };

    private static async Task AuthoriseAsync(HttpContext http, Decisions decisions)
    {
        var caller = await http.RecogniseAgainAsync();
        var draft = decisions.Draft(caller, Actions.MetricsRead);
        try
        {
            decisions.Authorise(caller, draft);
        }
        catch (SigningException refusal)
        {
            await decisions.RecordRefusalAsync(draft, refusal);
            throw;
        }
    }
}
