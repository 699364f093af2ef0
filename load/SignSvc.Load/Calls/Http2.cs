using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Google.Protobuf;
using SignSvc.Grpc.Rpc;

namespace SignSvc.Load.Calls;

/// <summary>HTTP/2 without TLS (prior knowledge): the JSON calls, many at once on few connections.</summary>
internal sealed class Http2(Uri target) : ITransport
{
    private readonly HttpClient _client = MakeClient(target);

    public async ValueTask<Answer> SendAsync(Call call, CancellationToken cancellationToken)
    {
        using var request = NewRequest(new HttpMethod(call.Method), call.Path);
        if (call.Json is not null)
            request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(call.Json)) { Headers = { ContentType = new MediaTypeHeaderValue(call.ContentType) } };
        if (call.Bearer is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", call.Bearer);
        if (call.IfNoneMatch is not null)
            request.Headers.TryAddWithoutValidation("If-None-Match", call.IfNoneMatch);
        using var response = await _client.SendAsync(request, cancellationToken);
        var body = await response.Content.ReadAsByteArrayAsync(cancellationToken);
        return new Answer((int)response.StatusCode, body.Length, body) { RetryAfter = response.Headers.RetryAfter?.Delta };
    }

    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return ValueTask.CompletedTask;
    }

    internal static HttpClient MakeClient(Uri target) =>
        new(new SocketsHttpHandler { EnableMultipleHttp2Connections = true, UseProxy = false, AllowAutoRedirect = false })
        {
            BaseAddress = target,
            Timeout = Timeout.InfiniteTimeSpan,
        };

    internal static HttpRequestMessage NewRequest(HttpMethod method, string path) =>
        new(method, path) { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
}

/// <summary>gRPC: generated messages in frames of HTTP/2 (gRPC's PROTOCOL-HTTP2.md), unary calls alone.</summary>
internal sealed class Grpc(Uri target) : ITransport
{
    private const int FrameHead = 5;

    private readonly HttpClient _client = Http2.MakeClient(target);

    public async ValueTask<Answer> SendAsync(Call call, CancellationToken cancellationToken)
    {
        var (method, message) = call.Grpc ?? throw new NotSupportedException($"gRPC has no call for {call.Method} {call.Path}.");
        using var request = Http2.NewRequest(HttpMethod.Post, method);
        request.Content = new ByteArrayContent(Frame(message));
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        if (call.Bearer is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", call.Bearer);
        using var response = await _client.SendAsync(request, cancellationToken);
        var body = await response.Content.ReadAsByteArrayAsync(cancellationToken);
        return new Answer(StatusOf(response), body.Length, body.Length > FrameHead ? body.AsMemory(FrameHead) : default) { RetryAfter = RetryOf(response) };
    }

    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return ValueTask.CompletedTask;
    }

    private static byte[] Frame(IMessage message)
    {
        var frame = new byte[FrameHead + message.CalculateSize()];
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), frame.Length - FrameHead);
        message.WriteTo(frame.AsSpan(FrameHead));
        return frame;
    }

    private static int StatusOf(HttpResponseMessage response)
    {
        var said = Ending(response, "grpc-status")
            ?? throw new HttpIOException(HttpRequestError.InvalidResponse, $"The answer ({(int)response.StatusCode}) has no grpc-status.");
        return int.Parse(said, CultureInfo.InvariantCulture) switch
        {
            0 => 200,
            3 => 400,
            4 => 504,
            5 => 404,
            7 => 403,
            8 => 429,
            9 => 409,
            14 => 503,
            16 => 401,
            _ => 500,
        };
    }

    /// <summary>RetryInfo among the details, which are base64 without padding.</summary>
    private static TimeSpan? RetryOf(HttpResponseMessage response)
    {
        if (Ending(response, "grpc-status-details-bin") is not { } encoded)
            return null;
        var status = Status.Parser.ParseFrom(Convert.FromBase64String(encoded.PadRight((encoded.Length + 3) / 4 * 4, '=')));
        return status.Details.FirstOrDefault(d => d.Is(RetryInfo.Descriptor))?.Unpack<RetryInfo>().RetryDelay?.ToTimeSpan();
    }

    /// <summary>Of the trailers; an answer without a message has them among its headers.</summary>
    private static string? Ending(HttpResponseMessage response, string name) =>
        response.TrailingHeaders.TryGetValues(name, out var trailers) ? trailers.First()
        : response.Headers.TryGetValues(name, out var headers) ? headers.First()
        : null;
}
