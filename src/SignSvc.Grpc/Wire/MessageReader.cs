using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;

namespace SignSvc.Grpc.Wire;

/// <summary>
/// Length-prefixed messages of a request (PROTOCOL-HTTP2.md, Length-Prefixed-Message), parsed where they lie in the
/// pipe. A length beyond the limit is refused when its prefix arrives, before the message is waited for.
/// </summary>
internal sealed class MessageReader(PipeReader pipe, int maxBytes, CancellationToken deadline)
{
    public const int PrefixLength = 5;

    /// <summary>Whether <c>grpc-encoding</c> announced gzip; without it a compressed message breaks the protocol.</summary>
    public bool Gzipped { get; set; }

    public bool LastWasCompressed { get; private set; }

    /// <summary>The one request of a call that has exactly one.</summary>
    /// <exception cref="GrpcException"><see cref="StatusCode.Unimplemented"/>: none or several (doc/statuscodes.md).</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<T> ReadSingleAsync<T>(MessageParser<T> parser) where T : class, IMessage<T>
    {
        T? single = null;
        while (true)
        {
            var result = await FillAsync(deadline);
            var buffer = result.Buffer;
            if (TryReadFrame(ref buffer, out var payload, out var compressed))
            {
                if (single is not null)
                    throw new GrpcException(StatusCode.Unimplemented, "The method takes one request; there were several.");
                single = Parse(parser, payload, compressed);
                var ended = result.IsCompleted && buffer.IsEmpty;

                // Nothing is marked as examined: the rest may hold a whole second frame and is looked at again at once.
                pipe.AdvanceTo(buffer.Start);
                if (ended)
                    return single;
                continue;
            }

            if (result.IsCompleted)
            {
                RefuseRest(buffer);
                pipe.AdvanceTo(buffer.Start);
                return single ?? throw new GrpcException(StatusCode.Unimplemented, "The method takes one request; there was none.");
            }

            RefuseIfStopping(result);
            pipe.AdvanceTo(buffer.Start, buffer.End);
        }
    }

    /// <summary>The next request of a stream; null at its end.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<T?> ReadAsync<T>(MessageParser<T> parser, CancellationToken cancellation) where T : class, IMessage<T>
    {
        while (true)
        {
            var result = await FillAsync(cancellation);
            RefuseIfStopping(result);
            var buffer = result.Buffer;
            if (TryReadFrame(ref buffer, out var payload, out var compressed))
            {
                var message = Parse(parser, payload, compressed);
                pipe.AdvanceTo(buffer.Start);
                return message;
            }

            if (result.IsCompleted)
            {
                RefuseRest(buffer);
                pipe.AdvanceTo(buffer.Start);
                return null;
            }

            pipe.AdvanceTo(buffer.Start, buffer.End);
        }
    }

    /// <summary>Ends the read that waits, or the next one, with UNAVAILABLE.</summary>
    public void Stop() => pipe.CancelPendingRead();

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ReadResult> FillAsync(CancellationToken cancellation)
    {
        try
        {
            return await pipe.ReadAsync(cancellation);
        }
        catch (Exception e) when (e is FormatException or BadHttpRequestException)
        {
            throw new GrpcException(StatusCode.Internal, "The request's body cannot be read.", e);
        }
    }

    private bool TryReadFrame(ref ReadOnlySequence<byte> buffer, out ReadOnlySequence<byte> payload, out bool compressed)
    {
        payload = default;
        compressed = false;
        if (buffer.Length < PrefixLength)
            return false;

        Span<byte> copy = stackalloc byte[PrefixLength];
        scoped ReadOnlySpan<byte> prefix;
        if (buffer.FirstSpan.Length >= PrefixLength)
        {
            prefix = buffer.FirstSpan[..PrefixLength];
        }
        else
        {
            buffer.Slice(0, PrefixLength).CopyTo(copy);
            prefix = copy;
        }

        if (prefix[0] > 1)
            throw new GrpcException(StatusCode.Internal, "A message has unknown flags.");
        compressed = prefix[0] == 1;
        if (compressed && !Gzipped)
            throw new GrpcException(StatusCode.Internal, "A message is compressed, and grpc-encoding does not say how.");
        var length = BinaryPrimitives.ReadUInt32BigEndian(prefix[1..]);
        if (length > (uint)maxBytes)
            throw new GrpcException(StatusCode.ResourceExhausted, $"A message of {length} bytes is larger than {maxBytes}.");
        if (buffer.Length < PrefixLength + length)
            return false;

        payload = buffer.Slice(PrefixLength, length);
        buffer = buffer.Slice(payload.End);
        return true;
    }

    private T Parse<T>(MessageParser<T> parser, ReadOnlySequence<byte> payload, bool compressed) where T : class, IMessage<T>
    {
        try
        {
            LastWasCompressed = compressed;
            // .NET's GZipStream makes nothing of nothing, and clients on it send that.
            return compressed && !payload.IsEmpty ? ParseCompressed(parser, payload) : parser.ParseFrom(payload);
        }
        catch (InvalidProtocolBufferException e)
        {
            // "Error parsing request proto" in doc/statuscodes.md, which keeps INVALID_ARGUMENT for applications.
            throw new GrpcException(StatusCode.Internal, "A message is not what the method takes.", e);
        }
    }

    private T ParseCompressed<T>(MessageParser<T> parser, ReadOnlySequence<byte> payload) where T : class, IMessage<T>
    {
        var (message, length) = Gzip.Decompress(payload, maxBytes);
        try
        {
            return parser.ParseFrom(message, 0, length);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(message);
        }
    }

    private static void RefuseRest(ReadOnlySequence<byte> rest)
    {
        if (!rest.IsEmpty)
            throw new GrpcException(StatusCode.Internal, "The request ends within a message.");
    }

    private static void RefuseIfStopping(ReadResult result)
    {
        if (result.IsCanceled)
            throw new GrpcException(StatusCode.Unavailable, "The server is stopping.");
    }
}
