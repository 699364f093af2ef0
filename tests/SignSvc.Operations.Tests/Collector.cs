using System.Collections.Concurrent;
using System.Net;
using Google.Protobuf;

namespace SignSvc.Operations.Tests;

/// <param name="TraceId">32 hex digits.</param>
/// <param name="Attributes">Those that are text.</param>
internal sealed record Span(string TraceId, string SpanId, string ParentId, string Name, IReadOnlyDictionary<string, string> Attributes);

/// <summary>An OTLP collector over HTTP that keeps what it is sent: spans as they are, of metrics and logs that they came.</summary>
internal sealed class Collector : IAsyncDisposable
{
    private readonly HttpListener _listener = new();
    private readonly Task _serving;
    private readonly ConcurrentQueue<Span> _spans = new();
    private readonly ConcurrentDictionary<string, int> _requests = new(StringComparer.Ordinal);

    public Collector()
    {
        Url = new Uri($"http://127.0.0.1:{FreePort.Next()}/");
        _listener.Prefixes.Add(Url.AbsoluteUri);
        _listener.Start();
        _serving = ServeAsync();
    }

    public Uri Url { get; }

    public IReadOnlyCollection<Span> Spans => _spans;

    /// <summary>How often each path was asked for.</summary>
    public IReadOnlyDictionary<string, int> Requests => _requests;

    public async ValueTask DisposeAsync()
    {
        _listener.Close();
        await _serving;
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                var context = await _listener.GetContextAsync();
                using var body = new MemoryStream();
                await context.Request.InputStream.CopyToAsync(body);
                var path = context.Request.Url!.AbsolutePath;
                if (path is "/v1/traces")
                    Read(body.ToArray());
                _requests.AddOrUpdate(path, 1, (_, n) => n + 1);
                context.Response.ContentType = "application/x-protobuf";
                context.Response.Close();
            }
        }
        catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
        {
            // It was closed.
        }
    }

    /// <summary>ExportTraceServiceRequest.resource_spans(1).scope_spans(2).spans(2), as opentelemetry-proto 1.0 numbers them.</summary>
    private void Read(byte[] request)
    {
        foreach (var span in Fields(request, 1).SelectMany(r => Fields(r, 2)).SelectMany(s => Fields(s, 2)))
        {
            _spans.Enqueue(new Span(
                Hex(span, 1), Hex(span, 2), Hex(span, 4), Text(Fields(span, 5).Single()), Attributes(span)));
        }
    }

    /// <summary>KeyValue.key(1), KeyValue.value(2), AnyValue.string_value(1).</summary>
    private static Dictionary<string, string> Attributes(byte[] span) => Fields(span, 9)
        .Select(a => (Name: Text(Fields(a, 1).Single()), Value: Fields(a, 2).SelectMany(v => Fields(v, 1)).FirstOrDefault()))
        .Where(a => a.Value is not null)
        .ToDictionary(a => a.Name, a => Text(a.Value!), StringComparer.Ordinal);

    private static string Text(byte[] utf8) => System.Text.Encoding.UTF8.GetString(utf8);

    private static string Hex(byte[] message, int field) => Convert.ToHexStringLower(Fields(message, field).FirstOrDefault() ?? []);

    private static List<byte[]> Fields(byte[] message, int field)
    {
        var found = new List<byte[]>();
        using var input = new CodedInputStream(message);
        while (input.ReadTag() is var tag and not 0)
        {
            if (WireFormat.GetTagFieldNumber(tag) == field && WireFormat.GetTagWireType(tag) == WireFormat.WireType.LengthDelimited)
                found.Add(input.ReadBytes().ToByteArray());
            else
                input.SkipLastField();
        }

        return found;
    }
}
