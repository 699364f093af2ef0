using System.Buffers;
using System.Buffers.Binary;
using System.Buffers.Text;
using System.IO.Pipelines;
using System.Text;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace SignSvc.Grpc.Wire;

/// <summary>Length-prefixed messages of a response, written into the response's pipe, and the status behind them.</summary>
internal sealed class MessageWriter(GrpcCall call, WireFormat format, int maxBytes)
{
    /// <summary>Messages up to this size go into one piece of the pipe's memory, prefix and all.</summary>
    private const int OnePiece = 4000;
    private const byte WebTrailers = 0x80;

    private readonly HttpResponse _response = call.HttpContext.Response;
    private bool _begun;
    private bool _canCompress;
    private bool _broken;

    /// <summary>Bytes written since the last flush.</summary>
    public int Unflushed { get; private set; }

    public void Write(IMessage message)
    {
        var size = message.CalculateSize();
        if (size > maxBytes)
            throw new GrpcException(StatusCode.ResourceExhausted, $"The answer of {size} bytes is larger than {maxBytes}.");

        Begin();
        var pipe = _response.BodyWriter;
        var compress = _canCompress && call.Compress && size > 0;
        if (format.IsText || compress)
            WriteCopy(pipe, message, size, compress);
        else if (size <= OnePiece)
            WriteInOnePiece(pipe, message, size);
        else
            WriteInPieces(pipe, message, size);
        Unflushed += MessageReader.PrefixLength + size;
    }

    /// <exception cref="OperationCanceledException">The client is gone or the deadline passed.</exception>
    public async ValueTask FlushAsync()
    {
        Unflushed = 0;
        var result = await _response.BodyWriter.FlushAsync(call.DeadlineToken);
        if (result.IsCompleted || result.IsCanceled)
            throw new OperationCanceledException("The client no longer takes the response.");
    }

    public async ValueTask SendHeadersAsync()
    {
        Begin();
        await _response.StartAsync(call.DeadlineToken);
        await _response.BodyWriter.FlushAsync(call.DeadlineToken);
    }

    /// <summary>Ends the response; without a message before it, in the headers alone (Trailers-Only). Null is OK.</summary>
    public void WriteStatus(GrpcException? fault)
    {
        if (_broken)
        {
            // Half a message is in the pipe; only a reset tells the client that it is none.
            call.HttpContext.Abort();
            return;
        }

        var trailersOnly = !_begun;
        Begin();
        var target = trailersOnly ? _response.Headers
            : format.IsWeb ? new HeaderDictionary()
            : call.HttpContext.Features.GetRequiredFeature<IHttpResponseTrailersFeature>().Trailers;
        if (fault is null)
            StatusHeaders.WriteOk(target);
        else
            StatusHeaders.Write(target, fault);
        call.TrailersOrNull?.CopyTo(target);
        fault?.TrailersOrNull?.CopyTo(target);
        if (format.IsWeb && !trailersOnly)
            WriteWebTrailers(target);
    }

    private void Begin()
    {
        if (_begun)
            return;
        _begun = true;
        var headers = _response.Headers;
        headers.ContentType = format.ContentType;
        call.ResponseHeadersOrNull?.CopyTo(headers);
        if (call.Compress && TakesGzip(call.HttpContext.Request.Headers))
        {
            _canCompress = true;
            headers.GrpcEncoding = Gzip.Name;
        }
    }

    private static void WriteInOnePiece(PipeWriter pipe, IMessage message, int size)
    {
        var span = pipe.GetSpan(MessageReader.PrefixLength + size);
        WritePrefix(span, 0, size);
        message.WriteTo(span.Slice(MessageReader.PrefixLength, size));
        pipe.Advance(MessageReader.PrefixLength + size);
    }

    private void WriteInPieces(PipeWriter pipe, IMessage message, int size)
    {
        _broken = true;
        WritePrefix(pipe.GetSpan(MessageReader.PrefixLength), 0, size);
        pipe.Advance(MessageReader.PrefixLength);
        message.WriteTo(pipe);
        _broken = false;
    }

    private void WriteCopy(PipeWriter pipe, IMessage message, int size, bool compress)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(size);
        try
        {
            message.WriteTo(buffer.AsSpan(0, size));
            if (compress)
                WriteFrame(pipe, 1, Gzip.Compress(buffer.AsSpan(0, size)).Span);
            else
                WriteFrame(pipe, 0, buffer.AsSpan(0, size));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private void WriteWebTrailers(IHeaderDictionary trailers)
    {
        var text = new StringBuilder();
        foreach (var (name, values) in trailers)
        {
            foreach (var value in values)
                text.Append(name.ToLowerInvariant()).Append(": ").Append(value).Append("\r\n");
        }

        WriteFrame(_response.BodyWriter, WebTrailers, Encoding.ASCII.GetBytes(text.ToString()));
    }

    /// <summary>In gRPC-Web's text form every frame is base64 of its own, padding included.</summary>
    private void WriteFrame(PipeWriter pipe, byte flags, ReadOnlySpan<byte> payload)
    {
        if (!format.IsText)
        {
            WritePrefix(pipe.GetSpan(MessageReader.PrefixLength), flags, payload.Length);
            pipe.Advance(MessageReader.PrefixLength);
            pipe.Write(payload);
            return;
        }

        var frame = new byte[MessageReader.PrefixLength + payload.Length];
        WritePrefix(frame, flags, payload.Length);
        payload.CopyTo(frame.AsSpan(MessageReader.PrefixLength));
        var text = new byte[Base64.GetMaxEncodedToUtf8Length(frame.Length)];
        Base64.EncodeToUtf8(frame, text, out _, out var written);
        pipe.Write(text.AsSpan(0, written));
    }

    private static void WritePrefix(Span<byte> prefix, byte flags, int length)
    {
        prefix[0] = flags;
        BinaryPrimitives.WriteInt32BigEndian(prefix[1..], length);
    }

    private static bool TakesGzip(IHeaderDictionary headers)
    {
        foreach (var header in headers.GrpcAcceptEncoding)
        {
            foreach (var encoding in (header ?? "").Split(','))
            {
                if (encoding.AsSpan().Trim().Equals(Gzip.Name, StringComparison.OrdinalIgnoreCase))
                    return true;
            }
        }

        return false;
    }
}
