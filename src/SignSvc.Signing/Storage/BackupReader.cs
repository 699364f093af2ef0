using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;

namespace SignSvc.Signing.Storage;

/// <summary>Reads a backup from its begin to its end; nothing comes out of a chunk that is not as it was written.</summary>
public sealed class BackupReader : IDisposable
{
    private readonly Stream _source;
    private readonly BackupCipher _cipher;
    private readonly byte[] _prefix = new byte[BackupCipher.PrefixLength];
    private readonly byte[] _encrypted = new byte[BackupCipher.ChunkLength];
    private readonly byte[] _plain = new byte[BackupCipher.ChunkLength];
    private int _position;
    private int _length;
    private bool _wasLast;

    private BackupReader(Stream source, BackupCipher cipher)
    {
        _source = source;
        _cipher = cipher;
    }

    /// <summary>What was read, once the items have been read to their end.</summary>
    public BackupCounts Counts { get; private set; } = BackupCounts.None;

    /// <exception cref="SigningException"><see cref="SigningFault.StoreFailed"/>: no backup, or one under another root key.</exception>
    public static async Task<BackupReader> OpenAsync(Stream source, BackupKey key, CancellationToken cancellationToken)
    {
        var header = new byte[BackupHeader.Length];
        var read = await source.ReadAtLeastAsync(header, header.Length, throwOnEndOfStream: false, cancellationToken);
        return new BackupReader(source, key.For(BackupHeader.Parse(header.AsSpan(0, read), key)));
    }

    /// <summary>To be read once.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.StoreFailed"/>: damaged, reordered, cut off, or of a newer version.</exception>
    public async IAsyncEnumerable<BackupItem> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var prefix = new byte[BackupFrame.PrefixLength];
        while (true)
        {
            await FillAsync(prefix, cancellationToken);
            var length = BinaryPrimitives.ReadInt32LittleEndian(prefix.AsSpan(1));
            if (length is < 0 or > BackupFrame.MaxLength)
                throw BackupCipher.Damaged(null);
            var payload = new byte[length];
            await FillAsync(payload, cancellationToken);
            if (BackupFrame.IsEnd(prefix[0]))
            {
                await CheckEndAsync(BackupFrame.ReadEnd(payload), cancellationToken);
                yield break;
            }

            var item = BackupFrame.Read(prefix[0], payload);
            Counts = Counts.With(item);
            yield return item;
        }
    }

    public void Dispose()
    {
        _cipher.Dispose();
        CryptographicOperations.ZeroMemory(_plain);
    }

    private async Task CheckEndAsync(BackupCounts written, CancellationToken cancellationToken)
    {
        var isEnd = _wasLast && _position == _length && written == Counts;
        if (!isEnd || await _source.ReadAtLeastAsync(_prefix, 1, throwOnEndOfStream: false, cancellationToken) != 0)
            throw BackupCipher.Damaged(null);
    }

    private async Task FillAsync(Memory<byte> destination, CancellationToken cancellationToken)
    {
        while (!destination.IsEmpty)
        {
            if (_position == _length)
                await ReadChunkAsync(cancellationToken);
            var length = Math.Min(destination.Length, _length - _position);
            _plain.AsSpan(_position, length).CopyTo(destination.Span);
            _position += length;
            destination = destination[length..];
        }
    }

    private async Task ReadChunkAsync(CancellationToken cancellationToken)
    {
        if (_wasLast)
            throw BackupCipher.Damaged(null);
        await ReadExactlyAsync(_prefix, cancellationToken);
        (_length, _wasLast) = BackupCipher.ReadPrefix(_prefix);
        var encrypted = _encrypted.AsMemory(0, _length);
        await ReadExactlyAsync(encrypted, cancellationToken);
        _cipher.Decrypt(_prefix, encrypted.Span, _plain.AsSpan(0, _length));
        _position = 0;
    }

    private async Task ReadExactlyAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (await _source.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken) < buffer.Length)
            throw new SigningException(SigningFault.StoreFailed, "The backup is cut off: its end is missing.");
    }
}
