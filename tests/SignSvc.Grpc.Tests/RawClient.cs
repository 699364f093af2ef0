using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;

namespace SignSvc.Grpc.Tests;

/// <summary>gRPC by hand on HttpClient: what no gRPC library would send, and what none would show.</summary>
internal sealed class RawClient(Uri address) : IDisposable
{
    private readonly HttpClient _http = new(new SocketsHttpHandler()) { BaseAddress = address };

    public static byte[] Frame(IMessage message) => Frame(message.ToByteArray());

    public static byte[] Frame(ReadOnlySpan<byte> payload, byte flags = 0, uint? length = null)
    {
        var frame = new byte[5 + payload.Length];
        frame[0] = flags;
        BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(1), length ?? (uint)payload.Length);
        payload.CopyTo(frame.AsSpan(5));
        return frame;
    }

    public static byte[] Gzip(ReadOnlySpan<byte> bytes, int times = 1)
    {
        using var memory = new MemoryStream();
        using (var gzip = new GZipStream(memory, CompressionLevel.Optimal, leaveOpen: true))
        {
            for (var i = 0; i < times; i++)
                gzip.Write(bytes);
        }

        return memory.ToArray();
    }

    public Task<RawAnswer> CallAsync(string method, byte[] body, params (string Name, string Value)[] headers) =>
        CallAsync(method, new ByteArrayContent(body), headers);

    public async Task<RawAnswer> CallAsync(string method, HttpContent content, params (string Name, string Value)[] headers)
    {
        using var request = Request(method, content, headers);
        using var response = await _http.SendAsync(
            request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        var body = await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        return new RawAnswer(response, body);
    }

    public Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation) =>
        _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);

    public static HttpRequestMessage Request(string method, HttpContent? content, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, $"/grpc.testing.TestService/{method}")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = content,
        };
        if (content is not null)
            content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        request.Headers.TE.Add(new("trailers"));
        foreach (var (name, value) in headers)
        {
            switch (name)
            {
                case "content-type":
                    content!.Headers.ContentType = MediaTypeHeaderValue.Parse(value);
                    break;
                case ":version":
                    request.Version = Version.Parse(value);
                    break;
                case ":method":
                    request.Method = new HttpMethod(value);
                    break;
                case ":path":
                    request.RequestUri = new Uri(value, UriKind.Relative);
                    break;
                default:
                    request.Headers.TryAddWithoutValidation(name, value);
                    break;
            }
        }

        return request;
    }

    public void Dispose() => _http.Dispose();
}

/// <summary>An answer with its status from wherever it came: headers alone or trailers.</summary>
internal sealed class RawAnswer
{
    public RawAnswer(HttpResponseMessage response, byte[] body)
    {
        Http = response.StatusCode;
        ContentType = response.Content.Headers.ContentType?.ToString();
        Body = body;
        Headers = response.Headers.ToDictionary(h => h.Key, h => string.Join(",", h.Value), StringComparer.OrdinalIgnoreCase);
        Allow = string.Join(",", response.Content.Headers.Allow);
        Trailers = response.TrailingHeaders.ToDictionary(h => h.Key, h => string.Join(",", h.Value), StringComparer.OrdinalIgnoreCase);
        IsTrailersOnly = Headers.ContainsKey("grpc-status");
    }

    public HttpStatusCode Http { get; }

    public string? ContentType { get; }

    public string Allow { get; }

    public byte[] Body { get; }

    public IReadOnlyDictionary<string, string> Headers { get; }

    public IReadOnlyDictionary<string, string> Trailers { get; }

    public bool IsTrailersOnly { get; }

    /// <summary>Null if there is none, which no gRPC client forgives.</summary>
    public StatusCode? Status =>
        (IsTrailersOnly ? Headers : Trailers).GetValueOrDefault("grpc-status") is { } status
            ? (StatusCode)int.Parse(status, CultureInfo.InvariantCulture)
            : null;

    public string? Message => (IsTrailersOnly ? Headers : Trailers).GetValueOrDefault("grpc-message") is { } text
        ? Uri.UnescapeDataString(text)
        : null;

    public T Parse<T>(MessageParser<T> parser) where T : IMessage<T>
    {
        Assert.Equal(Body.Length - 5, BinaryPrimitives.ReadInt32BigEndian(Body.AsSpan(1)));
        var payload = Body.AsSpan(5).ToArray();
        if (Body[0] == 0)
            return parser.ParseFrom(payload);
        using var gzip = new GZipStream(new MemoryStream(payload), CompressionMode.Decompress);
        return parser.ParseFrom(gzip);
    }
}

/// <summary>A request body that is written when the test says so, and never ends unless it says so.</summary>
internal sealed class OpenContent : HttpContent
{
    private readonly TaskCompletionSource<Stream> _stream = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public async Task WriteAsync(byte[] bytes)
    {
        var stream = await _stream.Task;
        await stream.WriteAsync(bytes);
        await stream.FlushAsync();
    }

    public void End() => _end.TrySetResult();

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        _stream.TrySetResult(stream);
        await stream.FlushAsync(cancellationToken);
        await _end.Task.WaitAsync(cancellationToken);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}
