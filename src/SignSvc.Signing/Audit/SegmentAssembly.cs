namespace SignSvc.Signing.Audit;

/// <summary>Makes the segment of a group commit.</summary>
internal static class SegmentAssembly
{
    /// <summary>Takes the entries' texts: they are assembled once, whatever becomes of the segment.</summary>
    /// <param name="previous">The seal of the segment before.</param>
    public static AuditSegment Of(List<AuditEntry> entries, string node, long firstSequence, ReadOnlyMemory<byte> previous, AuditChain chain)
    {
        var index = new AuditIndex();
        foreach (var entry in entries)
            entry.AddTo(index);

        var body = BodyOf(entries);
        var count = entries.Sum(e => e.Count);
        return new AuditSegment
        {
            Node = node,
            FirstSequence = firstSequence,
            Count = count,
            FirstAt = entries.Min(e => e.FirstAt),
            LastAt = entries.Max(e => e.LastAt),
            Body = body,
            Previous = previous,
            Seal = chain.Seal(node, firstSequence, count, previous.Span, body.Span),
            Terms = index.Terms,
            Usage = index.Usage,
        };
    }

    private static ReadOnlyMemory<byte> BodyOf(List<AuditEntry> entries)
    {
        if (entries is [var only])
            return only.Text.Detach();
        var body = GC.AllocateUninitializedArray<byte>(entries.Sum(e => e.Text.Length));
        var at = 0;
        foreach (var entry in entries)
        {
            entry.Text.Bytes.CopyTo(body.AsSpan(at));
            at += entry.Text.Length;
            entry.Text.Dispose();
        }

        return body;
    }
}
