namespace SignSvc.Signing.Audit;

/// <summary>Bounds of the log. Each is a promise to callers: overload and a hanging store become 503, never a wait without end.</summary>
public sealed record AuditLimits
{
    /// <summary>How long a caller waits for its record to be durable. Longer hides a hanging store; shorter refuses what a slow disk could have kept.</summary>
    public TimeSpan CommitTimeout { get; init; } = TimeSpan.FromSeconds(1.5);

    /// <summary>
    /// After a commit that failed the log counts as in trouble for so long, or until one succeeds. It ends by itself because a
    /// node that is given no requests makes no commit that could show it well.
    /// </summary>
    public TimeSpan TroubleAfterRefusal { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Entries that may wait for a commit. Beyond it the answer is 503 at once.</summary>
    public int QueuedEntries { get; init; } = 16_384;

    /// <summary>Bytes of records after which a segment is closed and the rest waits for the next commit.</summary>
    public int SegmentBytes { get; init; } = 4 * 1024 * 1024;
}
