using System.Security.Cryptography;

namespace SignSvc.Signing.Storage;

/// <summary>Writes a backup, chunk by chunk, into any stream.</summary>
public sealed class BackupWriter : IDisposable
{
    private readonly Stream _destination;
    private readonly BackupHeader _header;
    private readonly BackupCipher _cipher;
    private readonly byte[] _plain = new byte[BackupCipher.ChunkLength];
    private readonly byte[] _chunk = new byte[BackupCipher.PrefixLength + BackupCipher.ChunkLength];
    private int _filled;

    private BackupWriter(Stream destination, BackupKey key)
    {
        _destination = destination;
        _header = BackupHeader.New(key);
        _cipher = key.For(_header);
    }

    /// <summary>A file that breaks off in between is refused when it is read.</summary>
    public static async Task<BackupCounts> WriteAsync(
        Stream destination, BackupKey key, IAsyncEnumerable<BackupItem> items, CancellationToken cancellationToken)
    {
        using var writer = new BackupWriter(destination, key);
        await destination.WriteAsync(writer._header.ToBytes(), cancellationToken);
        var counts = BackupCounts.None;
        await foreach (var item in items.WithCancellation(cancellationToken))
        {
            await writer.AppendAsync(BackupFrame.Write(item), cancellationToken);
            counts = counts.With(item);
        }

        await writer.AppendAsync(BackupFrame.WriteEnd(counts), cancellationToken);
        await writer.FlushAsync(isLast: true, cancellationToken);
        await destination.FlushAsync(cancellationToken);
        return counts;
    }

    public void Dispose()
    {
        _cipher.Dispose();
        CryptographicOperations.ZeroMemory(_plain);
    }

    private async Task AppendAsync(ReadOnlyMemory<byte> frame, CancellationToken cancellationToken)
    {
        while (!frame.IsEmpty)
        {
            // Only what is followed by something is flushed here: the last chunk has to be marked.
            if (_filled == _plain.Length)
                await FlushAsync(isLast: false, cancellationToken);
            var length = Math.Min(frame.Length, _plain.Length - _filled);
            frame.Span[..length].CopyTo(_plain.AsSpan(_filled));
            _filled += length;
            frame = frame[length..];
        }
    }

    private async Task FlushAsync(bool isLast, CancellationToken cancellationToken)
    {
        _cipher.Encrypt(_plain.AsSpan(0, _filled), isLast, _chunk);
        await _destination.WriteAsync(_chunk.AsMemory(0, BackupCipher.PrefixLength + _filled), cancellationToken);
        _filled = 0;
    }
}
