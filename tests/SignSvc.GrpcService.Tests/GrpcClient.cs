using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;
using SignSvc.Grpc.Rpc;
using StatusCode = SignSvc.Grpc.StatusCode;

namespace SignSvc.GrpcService.Tests;

/// <summary>How a call ended.</summary>
public sealed record GrpcEnd(StatusCode Status, string Message, IReadOnlyDictionary<string, string> Trailers)
{
    public Status Details => Trailers.TryGetValue("grpc-status-details-bin", out var text)
        ? Grpc.Rpc.Status.Parser.ParseFrom(Convert.FromBase64String(text.PadRight((text.Length + 3) / 4 * 4, '=')))
        : new Status();

    public ErrorInfo Error => Details.Details.First(d => d.Is(ErrorInfo.Descriptor)).Unpack<ErrorInfo>();

    public override string ToString() => $"{Status}: {Message}";
}

public sealed class GrpcFailureException(GrpcEnd end) : Exception(end.ToString())
{
    public GrpcEnd End { get; } = end;
}

/// <summary>gRPC as .NET's HttpClient speaks it: HTTP/2, framing by hand (PROTOCOL-HTTP2.md).</summary>
public sealed class GrpcClient(Uri address, string? token, HttpMessageHandler? handler = null) : IDisposable
{
    private readonly HttpClient _http = new(handler ?? new SocketsHttpHandler { UseProxy = false })
    {
        BaseAddress = address,
        Timeout = Timeout.InfiniteTimeSpan,
        DefaultRequestVersion = HttpVersion.Version20,
        DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <exception cref="GrpcFailureException">It ended with another status than OK.</exception>
    public async Task<T> CallAsync<T>(string method, IMessage request, string? timeout = null, string? requestTimeout = null)
        where T : IMessage<T>, new()
    {
        using var message = Request(method, new ByteArrayContent(Frame(request)), timeout);
        if (requestTimeout is not null)
            message.Headers.Add("Request-Timeout", requestTimeout);
        using var response = await _http.SendAsync(message, Cancellation);
        var body = await response.Content.ReadAsByteArrayAsync(Cancellation);
        var end = EndOf(response);
        if (end.Status != StatusCode.Ok)
            throw new GrpcFailureException(end);
        Assert.Equal(body.Length - 5, BinaryPrimitives.ReadInt32BigEndian(body.AsSpan(1)));
        var answer = new T();
        answer.MergeFrom(body.AsSpan(5).ToArray());
        return answer;
    }

    public async Task<GrpcEnd> FailAsync<T>(string method, IMessage request, string? timeout = null, string? requestTimeout = null)
        where T : IMessage<T>, new() =>
        (await Assert.ThrowsAsync<GrpcFailureException>(() => CallAsync<T>(method, request, timeout, requestTimeout))).End;

    public async Task<DuplexCall<T>> OpenAsync<T>(string method)
        where T : IMessage<T>, new()
    {
        var content = new OpenContent();
        var message = Request(method, content, timeout: null);
        var response = _http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, Cancellation);
        return new DuplexCall<T>(content, await content.Stream, response);
    }

    public void Dispose() => _http.Dispose();

    public static byte[] Frame(IMessage message)
    {
        var size = message.CalculateSize();
        var frame = new byte[5 + size];
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), size);
        message.WriteTo(frame.AsSpan(5));
        return frame;
    }

    internal static GrpcEnd EndOf(HttpResponseMessage response)
    {
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var isTrailersOnly = response.Headers.Contains("grpc-status");
        HttpHeaders source = isTrailersOnly ? response.Headers : response.TrailingHeaders;
        var trailers = source.ToDictionary(h => h.Key, h => string.Join(',', h.Value), StringComparer.OrdinalIgnoreCase);
        return new GrpcEnd(
            (StatusCode)int.Parse(trailers["grpc-status"], CultureInfo.InvariantCulture),
            Uri.UnescapeDataString(trailers.GetValueOrDefault("grpc-message", "")),
            trailers);
    }

    private HttpRequestMessage Request(string method, HttpContent content, string? timeout)
    {
        content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        var message = new HttpRequestMessage(HttpMethod.Post, $"/{method}") { Content = content, Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        message.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        if (token is not null)
            message.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        if (timeout is not null)
            message.Headers.Add("grpc-timeout", timeout);
        return message;
    }
}

/// <summary>A bidirectional stream.</summary>
public sealed class DuplexCall<T>(OpenContent content, Stream requests, Task<HttpResponseMessage> response)
    where T : IMessage<T>, new()
{
    private Stream? _answers;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public Task WriteAsync(params IEnumerable<IMessage> messages) => WriteBytesAsync([.. messages.SelectMany(GrpcClient.Frame)]);

    public async Task WriteBytesAsync(byte[] bytes)
    {
        await requests.WriteAsync(bytes, Cancellation);
        await requests.FlushAsync(Cancellation);
    }

    public void Complete() => content.Complete();

    /// <summary>Null at the end of the stream.</summary>
    public async Task<T?> ReadAsync()
    {
        _answers ??= await (await response).Content.ReadAsStreamAsync(Cancellation);
        var prefix = new byte[5];
        var read = await _answers.ReadAtLeastAsync(prefix, 5, throwOnEndOfStream: false, Cancellation);
        if (read == 0)
            return default;
        var payload = new byte[BinaryPrimitives.ReadInt32BigEndian(prefix.AsSpan(1))];
        await _answers.ReadExactlyAsync(payload, Cancellation);
        var answer = new T();
        answer.MergeFrom(payload);
        return answer;
    }

    /// <summary>After the last answer was read.</summary>
    public async Task<GrpcEnd> EndAsync() => GrpcClient.EndOf(await response);
}

/// <summary>A request body that stays open until it is completed.</summary>
public sealed class OpenContent : HttpContent
{
    private readonly TaskCompletionSource<Stream> _stream = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<Stream> Stream => _stream.Task;

    public void Complete() => _end.TrySetResult();

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        await stream.FlushAsync(cancellationToken);
        _stream.TrySetResult(stream);
        await _end.Task.WaitAsync(cancellationToken);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}
