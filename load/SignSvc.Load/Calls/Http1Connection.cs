using System.Buffers;
using System.Buffers.Text;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace SignSvc.Load.Calls;

/// <summary>
/// One connection of HTTP/1.1 (RFC 9112), one request at a time, keep-alive. It does no more than is needed to know the
/// answer's status and where it ends, because it shares the processors with what it measures.
/// </summary>
internal sealed class Http1Connection : IDisposable
{
    private const int HeadLimit = 32 * 1024;

    private readonly Socket _socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly ArrayBufferWriter<byte> _body = new();
    private readonly byte[] _buffer = new byte[HeadLimit];
    private int _start;
    private int _end;

    public static async ValueTask<Http1Connection> OpenAsync(EndPoint target, CancellationToken cancellationToken)
    {
        var connection = new Http1Connection();
        try
        {
            await connection._socket.ConnectAsync(target, cancellationToken);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>A request as it goes over the wire; it may be sent any number of times.</summary>
    public static byte[] Encode(Call call, string host)
    {
        var body = call.Json is null ? [] : Encoding.UTF8.GetBytes(call.Json);
        var head = new StringBuilder(512).Append($"{call.Method} {call.Path} HTTP/1.1\r\nHost: {host}\r\n");
        if (call.Bearer is not null)
            head.Append($"Authorization: {(call.Bearer.Contains(' ', StringComparison.Ordinal) ? "" : "Bearer ")}{call.Bearer}\r\n");
        if (call.IfNoneMatch is not null)
            head.Append($"If-None-Match: {call.IfNoneMatch}\r\n");
        if (call.Json is not null)
            head.Append($"Content-Type: {call.ContentType}\r\n");
        if (call.Json is not null || !string.Equals(call.Method, "GET", StringComparison.Ordinal))
            head.Append($"Content-Length: {body.Length}\r\n");
        return [.. Encoding.ASCII.GetBytes(head.Append("\r\n").ToString()), .. body];
    }

    /// <returns>Its body is good until the next request.</returns>
    public async ValueTask<Answer> SendAsync(ReadOnlyMemory<byte> request, bool keepsBody, CancellationToken cancellationToken)
    {
        for (var sent = 0; sent < request.Length;)
            sent += await _socket.SendAsync(request[sent..], SocketFlags.None, cancellationToken);

        int length;
        while ((length = _buffer.AsSpan(_start, _end - _start).IndexOf("\r\n\r\n"u8)) < 0)
            await FillAsync(cancellationToken);
        var (status, body, retryAfter) = ReadHead(_buffer.AsSpan(_start, length + 2));
        _start += length + 4;

        _body.ResetWrittenCount();
        var keeps = keepsBody || status >= 400;
        if (body is { } known)
        {
            await SkipAsync(known, keeps, cancellationToken);
            return new Answer(status, known, _body.WrittenMemory) { RetryAfter = retryAfter };
        }

        var total = 0L;
        for (var chunk = await ChunkAsync(cancellationToken); chunk > 0; chunk = await ChunkAsync(cancellationToken))
        {
            await SkipAsync(chunk, keeps, cancellationToken);
            await SkipAsync(2, keeps: false, cancellationToken);
            total += chunk;
        }

        await SkipAsync(2, keeps: false, cancellationToken);
        return new Answer(status, total, _body.WrittenMemory) { RetryAfter = retryAfter };
    }

    public void Dispose() => _socket.Dispose();

    /// <returns>The status, the length of the body (null: it comes in chunks), and what a refusal says of when to come again.</returns>
    private static (int Status, long? Body, TimeSpan? RetryAfter) ReadHead(ReadOnlySpan<byte> head)
    {
        if (!head.StartsWith("HTTP/1.1 "u8) || !Utf8Parser.TryParse(head[9..], out int status, out _))
            throw new HttpIOException(HttpRequestError.InvalidResponse, "What came back is no HTTP/1.1.");
        long? length = status is 204 or 304 ? 0 : null;
        TimeSpan? retryAfter = null;
        while (head.IndexOf("\r\n"u8) is >= 0 and var end)
        {
            var line = head[..end];
            head = head[(end + 2)..];
            if (NumberOf("content-length:"u8, line) is { } said)
                length ??= said;
            else if (status >= 400 && NumberOf("retry-after:"u8, line) is { } seconds)
                retryAfter = TimeSpan.FromSeconds(seconds);
        }

        return (status, length, retryAfter);
    }

    private static long? NumberOf(ReadOnlySpan<byte> name, ReadOnlySpan<byte> line) =>
        line.Length > name.Length && Ascii.EqualsIgnoreCase(line[..name.Length], name)
        && Utf8Parser.TryParse(line[name.Length..].Trim((byte)' '), out long number, out _)
            ? number
            : null;

    private async ValueTask<long> ChunkAsync(CancellationToken cancellationToken)
    {
        int end;
        while ((end = _buffer.AsSpan(_start, _end - _start).IndexOf("\r\n"u8)) < 0)
            await FillAsync(cancellationToken);
        if (!Utf8Parser.TryParse(_buffer.AsSpan(_start, end), out long size, out _, 'X'))
            throw new HttpIOException(HttpRequestError.InvalidResponse, "A chunk without a size.");
        _start += end + 2;
        return size;
    }

    private async ValueTask SkipAsync(long count, bool keeps, CancellationToken cancellationToken)
    {
        while (count > 0)
        {
            if (_start == _end)
                await FillAsync(cancellationToken);
            var here = (int)Math.Min(count, _end - _start);
            if (keeps)
                _body.Write(_buffer.AsSpan(_start, here));
            _start += here;
            count -= here;
        }
    }

    private async ValueTask FillAsync(CancellationToken cancellationToken)
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        if (_end == _buffer.Length)
            throw new HttpIOException(HttpRequestError.InvalidResponse, "The answer's head is too long.");
        var read = await _socket.ReceiveAsync(_buffer.AsMemory(_end), SocketFlags.None, cancellationToken);
        _end += read > 0 ? read : throw new HttpIOException(HttpRequestError.ResponseEnded, "The connection ended before the answer did.");
    }
}
