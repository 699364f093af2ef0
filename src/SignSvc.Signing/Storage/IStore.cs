using System.Collections.Immutable;
using SignSvc.Signing.Audit;

namespace SignSvc.Signing.Storage;

/// <summary>
/// What SignSvc must not lose: documents (keys, profiles, credentials) and the audit. An implementation guarantees,
/// and one contract suite checks:
/// <list type="bullet">
/// <item>When <see cref="CommitAsync"/> returns, the segment and the changes are durable, together, and visible to
/// every later read of any node.</item>
/// <item>When it throws, none of it is there, but for <see cref="SigningFault.StoreUnavailable"/> after a lost
/// connection, where the writer reads the audit's head again before it goes on.</item>
/// <item><see cref="SigningFault.StoreUnavailable"/>: try again later. <see cref="SigningFault.StoreFailed"/>: what was
/// written may not be durable, or the data is damaged; nothing may be signed until an operator has looked.</item>
/// <item>Implementations do not judge content: documents and segments are sealed above them.</item>
/// </list>
/// </summary>
public interface IStore : IAsyncDisposable
{
    /// <summary>Documents that changed after a revision (0: all), and the revision they lead to.</summary>
    Task<StateChanges> ReadStateAsync(long afterRevision, CancellationToken cancellationToken);

    /// <summary>Appends an audit segment and applies document changes, atomically. One commit runs at a time for a node.</summary>
    /// <returns>The revision after the commit.</returns>
    /// <exception cref="SigningException">
    /// <see cref="SigningFault.NameTaken"/>: another document holds a name. <see cref="SigningFault.Conflict"/>: a
    /// document is not at the version before the one given. <see cref="SigningFault.StoreFailed"/>: the segment does
    /// not follow the chain's head, so somebody else writes the same node's chain.
    /// </exception>
    Task<long> CommitAsync(
        AuditSegment segment, IReadOnlyList<DocumentChange> changes, CancellationToken cancellationToken);

    /// <summary>How often and how lately each version signed, over all nodes; exact up to the last commit.</summary>
    Task<IReadOnlyList<VersionUsage>> ReadUsageAsync(CancellationToken cancellationToken);

    /// <summary>Where a node's chain ends, kept apart from its segments; null where it has none.</summary>
    Task<AuditHead?> ReadAuditHeadAsync(string node, CancellationToken cancellationToken);

    /// <summary>Segments that may hold matching records, newest first.</summary>
    IAsyncEnumerable<AuditSegment> SearchAuditAsync(AuditSegmentFilter filter, CancellationToken cancellationToken);

    /// <summary>The segments of one node's chain in order, from the first that holds <paramref name="fromSequence"/> or a later record.</summary>
    IAsyncEnumerable<AuditSegment> ReadAuditChainAsync(string node, long fromSequence, CancellationToken cancellationToken);

    /// <summary>The nodes that have a chain.</summary>
    Task<IReadOnlyList<string>> ReadAuditNodesAsync(CancellationToken cancellationToken);
}

/// <summary>A stored thing. <paramref name="Body"/> is JSON; empty where the document is deleted.</summary>
/// <param name="Version">From 1; every change adds one.</param>
/// <param name="Seal">HMAC over all the rest; see <see cref="DocumentSeal"/>.</param>
public sealed record Document(string Kind, string Id, int Version, ReadOnlyMemory<byte> Body, ReadOnlyMemory<byte> Seal);

/// <param name="Names">Every name the document holds from now on, with its scope (<c>key:release</c>); each is held by one document at most.</param>
public sealed record DocumentChange(Document Document, ImmutableArray<string> Names);

/// <summary>What is known of the use of one version; in a segment: what the segment adds.</summary>
/// <param name="LatestExpiry">The greatest <c>exp</c> that it ever signed: until then (plus skew) its public key has to stay published. Null where it signed no token.</param>
public sealed record VersionUsage(string Kid, long Uses, DateTimeOffset LastUsedAt, DateTimeOffset? LatestExpiry);

public sealed record StateChanges(long Revision, IReadOnlyList<Document> Documents);
