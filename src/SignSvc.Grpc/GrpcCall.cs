using System.Net;
using System.Net.Sockets;
using Google.Protobuf.Reflection;
using Microsoft.AspNetCore.Http;
using SignSvc.Grpc.Wire;

namespace SignSvc.Grpc;

/// <summary>
/// One call, for as long as its handler runs. Requests may be read while answers are written; otherwise it is not for
/// use by several threads at once.
/// </summary>
public sealed class GrpcCall
{
    private readonly CallDeadline? _deadline;
    private RequestMetadata? _requestHeaders;
    private ResponseMetadata? _responseHeaders;
    private ResponseMetadata? _trailers;

    /// <exception cref="GrpcException">The headers break the protocol.</exception>
    internal GrpcCall(HttpContext http, MethodDescriptor method, WireFormat format, CallSettings settings)
    {
        HttpContext = http;
        Descriptor = method;
        _deadline = CallDeadline.Start(http, settings.Time);
        Reader = new MessageReader(
            format.OpenRequest(http), settings.MaxRequestBytes, _deadline?.Token ?? CancellationToken.None);
        Writer = new MessageWriter(this, format, settings.MaxResponseBytes);
    }

    public HttpContext HttpContext { get; }

    public MethodDescriptor Descriptor { get; }

    /// <summary>When the client stops waiting; null if it did not say.</summary>
    public DateTimeOffset? Deadline => _deadline?.At;

    /// <summary>Fires when the client gives up, its connection breaks or the deadline passes.</summary>
    public CancellationToken CancellationToken => _deadline?.Token ?? HttpContext.RequestAborted;

    public RequestMetadata RequestHeaders => _requestHeaders ??= new RequestMetadata(HttpContext.Request.Headers);

    /// <summary>Sent before the first message; what is added later is not sent.</summary>
    public ResponseMetadata ResponseHeaders => _responseHeaders ??= new ResponseMetadata();

    /// <summary>Sent with the status.</summary>
    public ResponseMetadata Trailers => _trailers ??= new ResponseMetadata();

    /// <summary>
    /// Whether the messages written from now on are compressed, if the client takes gzip. Takes effect only if it was
    /// set before the first message. Off unless a handler says otherwise: compressing a secret beside what a stranger
    /// chose gives the secret away by its length.
    /// </summary>
    public bool Compress { get; set; }

    /// <summary>The other side as gRPC writes it: <c>ipv4:192.0.2.1:1234</c>, <c>ipv6:[2001:db8::1]:1234</c>, <c>unix:</c>.</summary>
    public string Peer
    {
        get
        {
            var connection = HttpContext.Connection;
            if (connection.RemoteIpAddress is not { } address)
                return "unix:";
            if (address.IsIPv4MappedToIPv6)
                address = address.MapToIPv4();
            var family = address.AddressFamily == AddressFamily.InterNetwork ? "ipv4" : "ipv6";
            return $"{family}:{new IPEndPoint(address, connection.RemotePort)}";
        }
    }

    /// <summary>Sends the response headers now, for clients that wait for them before they go on.</summary>
    public ValueTask SendHeadersAsync() => Writer.SendHeadersAsync();

    internal MessageReader Reader { get; }

    internal MessageWriter Writer { get; }

    internal ResponseMetadata? ResponseHeadersOrNull => _responseHeaders;

    internal ResponseMetadata? TrailersOrNull => _trailers;

    /// <summary>Reads and writes wait under this token: the abort of the request ends them by itself.</summary>
    internal CancellationToken DeadlineToken => _deadline?.Token ?? CancellationToken.None;

    internal bool IsLate => _deadline is { HasPassed: true };

    /// <exception cref="GrpcException">The deadline has passed: the client no longer listens, whatever the answer is.</exception>
    internal void RefuseIfLate()
    {
        if (IsLate)
            throw CallDeadline.Exceeded();
    }

    internal void End() => _deadline?.Dispose();
}
