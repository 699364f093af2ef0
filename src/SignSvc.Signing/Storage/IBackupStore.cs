using System.Collections.Immutable;
using SignSvc.Signing.Audit;

namespace SignSvc.Signing.Storage;

/// <summary>Ability of a store: it is read whole as of one moment, and filled from what was read.</summary>
public interface IBackupStore
{
    /// <summary>
    /// All of it as of one commit, while others commit on: documents in order of their revisions, then segments in order
    /// of their chains, then heads, usage and what was used once. Held in memory is one item at a time.
    /// </summary>
    IAsyncEnumerable<BackupItem> ReadAllAsync(CancellationToken cancellationToken);

    /// <summary>Writes every item, or nothing if the items end in an exception. When it returns, they are durable.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.Conflict"/>: the store is not empty.</exception>
    Task RestoreAsync(IAsyncEnumerable<BackupItem> items, CancellationToken cancellationToken);
}

/// <summary>One thing that a store holds.</summary>
public abstract record BackupItem
{
    private BackupItem()
    {
    }

    /// <param name="Names">With their scope.</param>
    public sealed record StoredDocument(Document Document, long Revision, ImmutableArray<string> Names) : BackupItem;

    /// <summary>When it is read, its terms may be left out: they follow from the body. When it is restored they are there.</summary>
    public sealed record StoredSegment(AuditSegment Segment) : BackupItem;

    public sealed record StoredHead(AuditHead Head) : BackupItem;

    public sealed record StoredUsage(VersionUsage Usage) : BackupItem;

    /// <summary>Something that was used once, as <see cref="IUseOnce"/> says it: without it a revoked token would be good again.</summary>
    public sealed record StoredUse(string Scope, string Id, DateTimeOffset Until) : BackupItem;
}

/// <summary>How much a backup holds.</summary>
public sealed record BackupCounts(long Documents, long Segments, long Records, long Chains, long UsedVersions, long UsedOnce)
{
    public static readonly BackupCounts None = new(0, 0, 0, 0, 0, 0);

    public BackupCounts With(BackupItem item) => item switch
    {
        BackupItem.StoredDocument => this with { Documents = Documents + 1 },
        BackupItem.StoredSegment s => this with { Segments = Segments + 1, Records = Records + s.Segment.Count },
        BackupItem.StoredHead => this with { Chains = Chains + 1 },
        BackupItem.StoredUsage => this with { UsedVersions = UsedVersions + 1 },
        BackupItem.StoredUse => this with { UsedOnce = UsedOnce + 1 },
        _ => this,
    };
}
