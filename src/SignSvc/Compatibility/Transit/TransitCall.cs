using System.Buffers;
using System.Diagnostics;
using System.Text.Json;
using SignSvc.Access;
using SignSvc.Signing.Access;

namespace SignSvc.Compatibility.Transit;

/// <summary>One request of a Vault client, its body read.</summary>
internal sealed record TransitCall(HttpContext Http, ClientJson Body)
{
    public Caller Caller => Http.Caller();

    /// <summary>The key in the address: an id, a name or an alias.</summary>
    public string Key => Route("key") ?? "";

    public CancellationToken CancellationToken => Http.RequestAborted;

    public string? Route(string name) => Http.Request.RouteValues.GetValueOrDefault(name) as string;
}

/// <summary>What Vault puts under <c>data</c>, and what it warns of.</summary>
internal sealed record TransitAnswer(Action<Utf8JsonWriter> Data, string? Warning = null)
{
    /// <summary>Of a login alone.</summary>
    public Action<Utf8JsonWriter>? Auth { get; init; }

    public async Task WriteAsync(HttpContext http)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        await using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("request_id", Activity.Current?.TraceId.ToHexString() ?? "");
            writer.WriteString("lease_id", "");
            writer.WriteBoolean("renewable", false);
            writer.WriteNumber("lease_duration", 0);
            writer.WriteStartObject("data");
            Data(writer);
            writer.WriteEndObject();
            writer.WriteNull("wrap_info");
            if (Warning is null)
            {
                writer.WriteNull("warnings");
            }
            else
            {
                writer.WriteStartArray("warnings");
                writer.WriteStringValue(Warning);
                writer.WriteEndArray();
            }

            if (Auth is null)
            {
                writer.WriteNull("auth");
            }
            else
            {
                writer.WriteStartObject("auth");
                Auth(writer);
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
        }

        http.Response.ContentType = "application/json";
        http.Response.ContentLength = buffer.WrittenCount;
        await http.Response.Body.WriteAsync(buffer.WrittenMemory, http.RequestAborted);
    }
}
