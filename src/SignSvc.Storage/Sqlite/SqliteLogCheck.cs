using System.Buffers.Binary;
using SignSvc.Signing;

namespace SignSvc.Storage.Sqlite;

/// <summary>
/// Reads the write-ahead log that a killed process left (sqlite.org/fileformat2.html section 4) before SQLite does:
/// SQLite takes the first frame that does not fit for the log's end and forgets, without a word, the commits after it.
/// </summary>
/// <remarks>
/// A crash can tear the last commit only, because each is flushed before the next begins. So two commits behind a frame
/// that does not fit are damage. What was cut off, and damage in the last two, looks like a crash and is not found.
/// </remarks>
internal static class SqliteLogCheck
{
    private const int HeaderLength = 32;
    private const int FrameHeaderLength = 24;
    private const uint Magic = 0x377f0682;

    /// <exception cref="SigningException"><see cref="SigningFault.StoreFailed"/>.</exception>
    public static void Run(string path)
    {
        if (!File.Exists(path))
            return;
        using var log = File.OpenRead(path);
        Span<byte> header = stackalloc byte[HeaderLength];
        // The header is flushed before the first frame is written.
        if (log.Length <= HeaderLength)
            return;
        log.ReadExactly(header);
        var magic = BinaryPrimitives.ReadUInt32BigEndian(header);
        var isBigEndian = magic == (Magic | 1);
        var sum = Sum((0, 0), header[..24], isBigEndian);
        if ((!isBigEndian && magic != Magic) || sum != ReadSum(header[24..]))
            throw Damaged();

        var frame = new byte[FrameHeaderLength + BinaryPrimitives.ReadInt32BigEndian(header[8..])];
        var fits = true;
        var commitsBehind = 0;
        while (log.ReadAtLeast(frame, frame.Length, throwOnEndOfStream: false) == frame.Length)
        {
            var hasSalt = frame.AsSpan(8, 8).SequenceEqual(header[16..24]);
            if (fits)
            {
                sum = Sum(Sum(sum, frame.AsSpan(0, 8), isBigEndian), frame.AsSpan(FrameHeaderLength), isBigEndian);
                fits = hasSalt && sum == ReadSum(frame.AsSpan(16));
            }
            else if (hasSalt && BinaryPrimitives.ReadUInt32BigEndian(frame.AsSpan(4)) != 0 && ++commitsBehind == 2)
            {
                throw Damaged();
            }
        }
    }

    private static (uint, uint) ReadSum(ReadOnlySpan<byte> bytes) =>
        (BinaryPrimitives.ReadUInt32BigEndian(bytes), BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]));

    private static (uint, uint) Sum((uint, uint) sum, ReadOnlySpan<byte> bytes, bool isBigEndian)
    {
        var (s0, s1) = sum;
        for (; bytes.Length >= 8; bytes = bytes[8..])
        {
            s0 += Word(bytes, isBigEndian) + s1;
            s1 += Word(bytes[4..], isBigEndian) + s0;
        }

        return (s0, s1);
    }

    private static uint Word(ReadOnlySpan<byte> bytes, bool isBigEndian) =>
        isBigEndian ? BinaryPrimitives.ReadUInt32BigEndian(bytes) : BinaryPrimitives.ReadUInt32LittleEndian(bytes);

    private static SigningException Damaged() => new(
        SigningFault.StoreFailed,
        "The database's log is damaged: commits stand behind a damaged place. SignSvc repairs nothing by itself: keep a copy of the data folder, then restore a backup.");
}
