using System.Security.Cryptography;
using System.Text;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;

namespace SignSvc.Storage.Tests;

/// <summary>Makes segments that follow each other. It goes on only when told that a segment was committed.</summary>
internal sealed class ChainWriter(string node)
{
    public static readonly DateTimeOffset Noon = new(2026, 3, 4, 12, 0, 0, TimeSpan.Zero);

    private long _next = 1;
    private ReadOnlyMemory<byte> _previous = AuditChain.Genesis;

    public AuditSegment Next(
        int count = 1, DateTimeOffset? firstAt = null, DateTimeOffset? lastAt = null, IReadOnlyCollection<string>? terms = null,
        IReadOnlyCollection<VersionUsage>? usage = null, byte[]? body = null)
    {
        body ??= Encoding.UTF8.GetBytes($"{node} {_next}\n");
        return new AuditSegment
        {
            Node = node,
            FirstSequence = _next,
            Count = count,
            FirstAt = firstAt ?? Noon,
            LastAt = lastAt ?? firstAt ?? Noon,
            Body = body,
            Previous = _previous,
            Seal = SHA256.HashData([.. _previous.Span, .. body]),
            Terms = terms ?? [],
            Usage = usage ?? [],
        };
    }

    public void GoOnFrom(AuditSegment segment)
    {
        _next = segment.LastSequence + 1;
        _previous = segment.Seal;
    }

    public async Task<long> CommitAsync(IStore store, AuditSegment segment, params DocumentChange[] changes)
    {
        var revision = await store.CommitAsync(segment, changes, TestContext.Current.CancellationToken);
        GoOnFrom(segment);
        return revision;
    }

    public Task<long> CommitAsync(IStore store, params DocumentChange[] changes) => CommitAsync(store, Next(), changes);
}

internal static class Documents
{
    public static DocumentChange Change(string id, int version, params string[] names) => new(
        new Document("key", id, version, Encoding.UTF8.GetBytes($"{{\"{id}\":{version}}}"), SHA256.HashData([(byte)version])),
        [.. names]);

    public static async Task<List<T>> ToListAsync<T>(this IAsyncEnumerable<T> items)
    {
        var list = new List<T>();
        await foreach (var item in items.WithCancellation(TestContext.Current.CancellationToken))
            list.Add(item);
        return list;
    }
}
