using System.Buffers;
using System.IO.Compression;

namespace SignSvc.Grpc.Wire;

/// <summary>The one message encoding beside identity.</summary>
internal static class Gzip
{
    public const string Name = "gzip";

    /// <summary>Value of <c>grpc-accept-encoding</c>.</summary>
    public const string Accepted = "identity,gzip";

    /// <summary>
    /// Decompresses to a rented buffer, which the caller gives back to the shared pool. Never produces more than
    /// <paramref name="limit"/> bytes, whatever the message claims.
    /// </summary>
    /// <exception cref="GrpcException">
    /// <see cref="StatusCode.ResourceExhausted"/>: larger than the limit. <see cref="StatusCode.Internal"/>: not gzip.
    /// </exception>
    public static (byte[] Buffer, int Length) Decompress(ReadOnlySequence<byte> compressed, int limit)
    {
        var input = ArrayPool<byte>.Shared.Rent((int)compressed.Length);
        var output = ArrayPool<byte>.Shared.Rent((int)Math.Min((long)limit + 1, Math.Max(4096, compressed.Length * 4)));
        var kept = false;
        try
        {
            compressed.CopyTo(input);
            using var memory = new MemoryStream(input, 0, (int)compressed.Length);
            using var gzip = new GZipStream(memory, CompressionMode.Decompress);
            var length = 0;
            while (true)
            {
                var read = gzip.Read(output, length, output.Length - length);
                if (read == 0)
                    break;
                length += read;
                if (length > limit)
                    throw new GrpcException(StatusCode.ResourceExhausted, $"The message is larger than {limit} bytes once decompressed.");
                if (length == output.Length)
                    output = Grow(output, length);
            }

            CheckWhole(input.AsSpan(0, (int)compressed.Length), length);
            kept = true;
            return (output, length);
        }
        catch (InvalidDataException e)
        {
            throw new GrpcException(StatusCode.Internal, "The message is not gzip.", e);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(input);
            if (!kept)
                ArrayPool<byte>.Shared.Return(output);
        }
    }

    public static ReadOnlyMemory<byte> Compress(ReadOnlySpan<byte> message)
    {
        var memory = new MemoryStream(message.Length / 2);
        using (var gzip = new GZipStream(memory, CompressionLevel.Fastest, leaveOpen: true))
            gzip.Write(message);
        return memory.GetBuffer().AsMemory(0, (int)memory.Length);
    }

    /// <summary>GZipStream reads a cut message to its end without complaint; the length in the trailer tells (RFC 1952 section 2.3.1).</summary>
    private static void CheckWhole(ReadOnlySpan<byte> gzip, int length)
    {
        if (gzip.Length < 18 || System.Buffers.Binary.BinaryPrimitives.ReadUInt32LittleEndian(gzip[^4..]) != (uint)length)
            throw new InvalidDataException("The gzip trailer does not fit.");
    }

    private static byte[] Grow(byte[] buffer, int length)
    {
        var larger = ArrayPool<byte>.Shared.Rent(length * 2);
        buffer.AsSpan(0, length).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(buffer);
        return larger;
    }
}
