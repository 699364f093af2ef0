using System.Buffers;
using System.Globalization;
using System.Text.Json;
using SignSvc.Access;
using SignSvc.Access.Issuers;
using SignSvc.Signing;
using SignSvc.Signing.Access;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;

namespace SignSvc.Compatibility.Transit;

/// <summary>What Vault's clients ask beside Transit: whether the service is well, and who they are.</summary>
internal sealed class TransitSystem(TrustedIssuers issuers, StrangerLog strangers, AuditLog audit, SnapshotFreshness freshness, TimeProvider time)
{
    /// <summary>The clients decide by the version what they may ask for; this is the last one whose Transit API is spoken here.</summary>
    private const string Version = "1.15.0+signsvc";

    /// <summary>Open to strangers as in Vault. A node that cannot sign says that it is sealed, by 503.</summary>
    public async Task HealthAsync(HttpContext http)
    {
        var isSealed = audit.Trouble is not null || freshness.IsStale;
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
        var expiresAt = call.Http.CallerIdentity()?.ExpiresAt;
        return Task.FromResult(new TransitAnswer(data =>
        {
            data.WriteString("id", "");
            data.WriteString("accessor", "");
            data.WriteString("display_name", caller.Principal);
            data.WriteString("entity_id", "");
            data.WriteString("type", "service");
            data.WriteString("path", "auth/token/create");
            WritePolicies(data, "policies", caller.Roles);
            data.WriteNull("meta");
            data.WriteNumber("num_uses", 0);
            data.WriteBoolean("orphan", true);
            data.WriteBoolean("renewable", false);
            data.WriteNumber("ttl", expiresAt is { } end ? SecondsUntil(end) : 0);
            data.WriteNumber("explicit_max_ttl", 0);
            if (expiresAt is { } at)
                data.WriteString("expire_time", at.UtcDateTime.ToString("O", CultureInfo.InvariantCulture));
            else
                data.WriteNull("expire_time");
        }));
    }

    /// <summary>
    /// Vault gives a token of its own for a JWT. Here a token of a trusted issuer is good as it is, for as long as its
    /// issuer said: so the answer is that token, checked, and nothing is stored. The role in the request is not needed.
    /// </summary>
    public async Task LoginAsync(HttpContext http)
    {
        var jwt = ClientJson.Parse(await ClientJson.ReadBodyAsync(http)).Text("jwt") ?? throw ClientJson.Invalid("jwt is missing.");
        var verdict = await issuers.VerifyAsync(jwt, http.RequestAborted);
        if (verdict.Token is not { } token)
        {
            var refusal = new SigningException(SigningFault.Forbidden, "the JWT is not a token of an issuer that is trusted here, or not good any more.");
            await strangers.RecordAsync(
                refusal, $"its token is refused at the login: {verdict.Refusal}", http.Connection.RemoteIpAddress?.ToString(), http.RequestAborted);
            throw refusal;
        }

        var answer = new TransitAnswer(_ => { })
        {
            Auth = auth =>
            {
                auth.WriteString("client_token", jwt);
                auth.WriteString("accessor", "");
                WritePolicies(auth, "policies", token.Roles);
                WritePolicies(auth, "token_policies", token.Roles);
                auth.WriteNull("metadata");
                auth.WriteNumber("lease_duration", SecondsUntil(token.ExpiresAt));
                auth.WriteBoolean("renewable", false);
                auth.WriteString("entity_id", "");
                auth.WriteString("token_type", "service");
                auth.WriteBoolean("orphan", true);
            },
        };
        http.Response.Headers.CacheControl = "no-store";
        await answer.WriteAsync(http);
    }

    private static void WritePolicies(Utf8JsonWriter writer, string name, IEnumerable<Role> roles)
    {
        writer.WriteStartArray(name);
        foreach (var role in roles)
            writer.WriteStringValue(JsonNamingPolicy.CamelCase.ConvertName(role.ToString()));
        writer.WriteEndArray();
    }

    private long SecondsUntil(DateTimeOffset end) => Math.Max(1, (long)(end - time.GetUtcNow()).TotalSeconds);
}
