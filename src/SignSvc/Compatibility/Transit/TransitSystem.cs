using System.Buffers;
using System.Globalization;
using System.Text.Json;
using SignSvc.Signing.Access;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;

namespace SignSvc.Compatibility.Transit;

/// <summary>What Vault's clients ask beside Transit: whether the service is well, and who they are.</summary>
internal sealed class TransitSystem(Credentials credentials, AuditLog audit, SnapshotFreshness freshness, TimeProvider time)
{
    /// <summary>The clients decide by the version what they may ask for; this is the last one whose Transit API is spoken here.</summary>
    private const string Version = "1.15.0+signsvc";

    /// <summary>Open to strangers as in Vault. A node that cannot sign says that it is sealed, by 503.</summary>
    public async Task HealthAsync(HttpContext http)
    {
        var isSealed = audit.Failure is not null || freshness.IsStale;
        var buffer = new ArrayBufferWriter<byte>(256);
        await using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteBoolean("initialized", true);
            writer.WriteBoolean("sealed", isSealed);
            writer.WriteBoolean("standby", false);
            writer.WriteBoolean("performance_standby", false);
            writer.WriteNumber("server_time_utc", time.GetUtcNow().ToUnixTimeSeconds());
            writer.WriteString("version", Version);
            writer.WriteEndObject();
        }

        http.Response.StatusCode = isSealed ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK;
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = buffer.WrittenCount;
        if (!HttpMethods.IsHead(http.Request.Method))
            await http.Response.Body.WriteAsync(buffer.WrittenMemory, http.RequestAborted);
    }

    /// <summary>The token itself is not repeated. A ttl of 0 means that it does not expire.</summary>
    public Task<TransitAnswer> LookupSelfAsync(TransitCall call)
    {
        var caller = call.Caller;
        var expiresAt = credentials.Recognise(call.Http.Request.Headers.Authorization.ToString().AsSpan("Bearer ".Length))?.ExpiresAt;
        return Task.FromResult(new TransitAnswer(data =>
        {
            data.WriteString("id", "");
            data.WriteString("accessor", "");
            data.WriteString("display_name", caller.Principal);
            data.WriteString("entity_id", "");
            data.WriteString("type", "service");
            data.WriteString("path", "auth/token/create");
            data.WriteStartArray("policies");
            foreach (var role in caller.Roles)
                data.WriteStringValue(JsonNamingPolicy.CamelCase.ConvertName(role.ToString()));
            data.WriteEndArray();
            data.WriteNull("meta");
            data.WriteNumber("num_uses", 0);
            data.WriteBoolean("orphan", true);
            data.WriteBoolean("renewable", false);
            data.WriteNumber("ttl", expiresAt is { } end ? Math.Max(1, (long)(end - time.GetUtcNow()).TotalSeconds) : 0);
            data.WriteNumber("explicit_max_ttl", 0);
            if (expiresAt is { } at)
                data.WriteString("expire_time", at.UtcDateTime.ToString("O", CultureInfo.InvariantCulture));
            else
                data.WriteNull("expire_time");
        }));
    }
}
