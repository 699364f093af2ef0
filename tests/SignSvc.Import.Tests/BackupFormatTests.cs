using System.Security.Cryptography;
using System.Text;
using SignSvc.Signing;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;

namespace SignSvc.Import.Tests;

/// <summary>The file alone: whatever is done to it is found.</summary>
public sealed class BackupFormatTests
{
    private const int HeaderLength = 58;
    private const int ChunkLength = 4 + 16 + (64 * 1024);

    private static readonly byte[] Root = RandomNumberGenerator.GetBytes(32);

    private static readonly BackupItem[] Items =
    [
        new BackupItem.StoredDocument(new Document("key", "a", 3, Encoding.UTF8.GetBytes("""{"name":"ä"}"""), new byte[32]), 17, ["key:a", "key:prod/app"]),
        new BackupItem.StoredDocument(new Document("import", "0", 2, ReadOnlyMemory<byte>.Empty, new byte[32]), 18, []),
        .. Enumerable.Range(0, 3).Select(i => new BackupItem.StoredSegment(Segment(i))),
        new BackupItem.StoredHead(new AuditHead("local", 9000, new byte[32])),
        new BackupItem.StoredUsage(new VersionUsage("kid", 5, DateTimeOffset.UnixEpoch, LatestExpiry: null)),
        new BackupItem.StoredUsage(new VersionUsage("kid2", 6, DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddDays(1))),
        new BackupItem.StoredUse("revoked", "jti", DateTimeOffset.UnixEpoch.AddDays(2)),
    ];

    [Fact]
    public async Task What_was_written_is_read()
    {
        var file = await WriteAsync();
        var read = await ReadAsync(file, Root);
        Assert.Equal(string.Join('\n', Items.Select(Describe)), string.Join('\n', read.Select(Describe)));
        Assert.Equal(2, Assert.IsType<BackupItem.StoredSegment>(read[2]).Segment.Terms.Count(t => t is "caller=credential:ci" or "action=keys:Sign"));
        Assert.True(file.Length > 4 * ChunkLength);
        // Two backups of the same have nothing in common but what every backup begins with.
        Assert.NotEqual(file[20..60], (await WriteAsync())[20..60]);
    }

    [Fact]
    public async Task An_empty_backup_and_one_that_fills_its_chunks_are_read()
    {
        Assert.Empty(await ReadAsync(await WriteAsync([]), Root));
        // Frames that end one byte before, at, and one byte after the end of a chunk.
        for (var length = 65_400; length < 65_550; length++)
        {
            BackupItem[] one = [new BackupItem.StoredDocument(new Document("key", "a", 1, new byte[length], new byte[32]), 1, [])];
            Assert.Single(await ReadAsync(await WriteAsync(one), Root));
        }
    }

    [Fact]
    public async Task A_flipped_byte_in_any_part_of_any_chunk_is_refused()
    {
        var file = await WriteAsync();
        for (var chunk = HeaderLength; chunk < file.Length; chunk += ChunkLength)
        {
            var end = Math.Min(chunk + ChunkLength, file.Length);
            foreach (var at in new[] { chunk, chunk + 1, chunk + 3, chunk + 4, chunk + 19, chunk + 20, (chunk + end) / 2, end - 1 })
                await RefusedAsync([.. file[..at], (byte)(file[at] ^ 1), .. file[(at + 1)..]]);
            await RefusedAsync([.. file[..chunk], (byte)(file[chunk] ^ 0x80), .. file[(chunk + 1)..]]);
        }

        for (var at = 0; at < HeaderLength; at++)
            await RefusedAsync([.. file[..at], (byte)(file[at] ^ 1), .. file[(at + 1)..]]);
    }

    [Fact]
    public async Task What_is_cut_off_added_moved_or_left_out_is_refused()
    {
        var file = await WriteAsync();
        var chunks = file[HeaderLength..].Chunk(ChunkLength).ToArray();
        var header = file[..HeaderLength];
        Assert.True(chunks.Length >= 5);
        for (var count = 0; count < chunks.Length; count++)
        {
            await RefusedAsync([.. header, .. chunks.Take(count).SelectMany(c => c)]);
            await RefusedAsync([.. header, .. chunks.Take(count).SelectMany(c => c), .. chunks[count][..^1]]);
            await RefusedAsync([.. header, .. chunks.Where((_, i) => i != count).SelectMany(c => c)]);
        }

        await RefusedAsync([.. file, 0]);
        await RefusedAsync([.. file, .. chunks[^1]]);
        await RefusedAsync([.. header, .. chunks[1], .. chunks[0], .. chunks[2..].SelectMany(c => c)]);
        await RefusedAsync([.. header, .. chunks[0], .. chunks.SelectMany(c => c)]);
        // The end of another backup of the same root key.
        await RefusedAsync([.. file[..^chunks[^1].Length], .. (await WriteAsync())[^chunks[^1].Length..]]);
        await RefusedAsync([]);
    }

    [Fact]
    public async Task Another_root_key_is_told_from_damage()
    {
        var file = await WriteAsync();
        Assert.Contains("another root key", (await RefusedAsync(file, RandomNumberGenerator.GetBytes(32))).Message, StringComparison.Ordinal);
        Assert.Contains("not a backup", (await RefusedAsync(Encoding.UTF8.GetBytes(new string('x', 1000)))).Message, StringComparison.Ordinal);
        file[9]++;
        Assert.Contains("format version 2", (await RefusedAsync(file)).Message, StringComparison.Ordinal);
    }

    private static async Task<SigningException> RefusedAsync(byte[] file, byte[]? root = null)
    {
        var refusal = await Assert.ThrowsAsync<SigningException>(() => ReadAsync(file, root ?? Root));
        Assert.Equal(SigningFault.StoreFailed, refusal.Fault);
        return refusal;
    }

    private static async Task<byte[]> WriteAsync(BackupItem[]? items = null)
    {
        var file = new MemoryStream();
        await BackupWriter.WriteAsync(file, new BackupKey(Root), (items ?? Items).ToAsyncEnumerable(), TestContext.Current.CancellationToken);
        return file.ToArray();
    }

    private static async Task<List<BackupItem>> ReadAsync(byte[] file, byte[] root)
    {
        using var reader = await BackupReader.OpenAsync(new MemoryStream(file), new BackupKey(root), TestContext.Current.CancellationToken);
        return await reader.ReadAsync(TestContext.Current.CancellationToken).ToListAsync(TestContext.Current.CancellationToken);
    }

    private static AuditSegment Segment(int number)
    {
        const int count = 1000;
        var record = """{"at":"2026-01-02T03:04:05+00:00","caller":"credential:ci","action":"keys:Sign","outcome":"Allowed","keyName":"release"}""" + "\n";
        return new AuditSegment
        {
            Node = "local",
            FirstSequence = 1 + (number * count),
            Count = count,
            FirstAt = DateTimeOffset.UnixEpoch,
            LastAt = DateTimeOffset.UnixEpoch.AddSeconds(1),
            Body = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(record, count))),
            Previous = new byte[32],
            Seal = RandomNumberGenerator.GetBytes(32),
        };
    }

    internal static string Describe(BackupItem item) => item switch
    {
        BackupItem.StoredDocument(var d, var revision, var names) =>
            $"{d.Kind} {d.Id} {d.Version} {revision} {Hex(d.Body)} {Hex(d.Seal)} {string.Join(',', names)}",
        BackupItem.StoredSegment(var s) =>
            $"{s.Node} {s.FirstSequence} {s.Count} {s.FirstAt:O} {s.LastAt:O} {Hex(s.Body)} {Hex(s.Previous)} {Hex(s.Seal)}",
        BackupItem.StoredHead(var h) => $"{h.Node} {h.LastSequence} {Hex(h.Seal)}",
        BackupItem.StoredUsage(var u) => u.ToString(),
        BackupItem.StoredUse u => u.ToString(),
        _ => "",
    };

    private static string Hex(ReadOnlyMemory<byte> bytes) => Convert.ToHexString(bytes.Span);
}
