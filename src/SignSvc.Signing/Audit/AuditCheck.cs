using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Audit;

/// <param name="Node">The chain that was read.</param>
/// <param name="Records">How many records stand in it, unbroken, from the first on.</param>
/// <param name="Seal">The seal of the last of them, in hex: the chain's head, for an operator to keep elsewhere.</param>
/// <param name="Fault">What is wrong after them; null where all is well.</param>
public sealed record AuditCheckResult(string Node, long Records, string Seal, string? Fault);

/// <summary>Reads whole chains and proves that no record was edited, dropped or reordered.</summary>
public sealed class AuditCheck(IStore store, AuditChain chain)
{
    public async Task<IReadOnlyList<AuditCheckResult>> RunAsync(CancellationToken cancellationToken)
    {
        var results = new List<AuditCheckResult>();
        foreach (var node in await store.ReadAuditNodesAsync(cancellationToken))
            results.Add(await RunAsync(node, cancellationToken));
        return results;
    }

    /// <summary>Checks only that each chain's last segment is whole and is its head.</summary>
    public async Task<IReadOnlyList<AuditCheckResult>> RunAtEndAsync(CancellationToken cancellationToken)
    {
        var results = new List<AuditCheckResult>();
        foreach (var node in await store.ReadAuditNodesAsync(cancellationToken))
        {
            var head = await store.ReadAuditHeadAsync(node, cancellationToken);
            var isWhole = false;
            await foreach (var segment in store.ReadAuditChainAsync(node, head?.LastSequence ?? 1, cancellationToken))
            {
                isWhole = segment.LastSequence == head?.LastSequence
                    && segment.Seal.Span.SequenceEqual(head.Seal.Span)
                    && chain.IsIntact(segment, segment.Previous.Span);
                // What a live node has appended since its head was read lies beyond it and is not looked at.
                if (segment.LastSequence >= head?.LastSequence)
                    break;
            }

            var seal = head is null ? "" : Convert.ToHexStringLower(head.Seal.Span);
            results.Add(new AuditCheckResult(node, head?.LastSequence ?? 0, seal, isWhole ? null : "the last segment is damaged or missing"));
        }

        return results;
    }

    private async Task<AuditCheckResult> RunAsync(string node, CancellationToken cancellationToken)
    {
        // The head first: what a live node appends meanwhile lies beyond it and is not looked at.
        var head = await store.ReadAuditHeadAsync(node, cancellationToken);
        var previous = AuditChain.Genesis;
        var next = 1L;
        await foreach (var segment in store.ReadAuditChainAsync(node, fromSequence: 1, cancellationToken))
        {
            if (segment.FirstSequence != next)
                return Result($"records {next} to {segment.FirstSequence - 1} are missing");
            if (!chain.IsIntact(segment, previous.Span))
                return Result($"the records from {next} do not match their seal: edited, reordered, or sealed under another root key");
            previous = segment.Seal;
            next = segment.LastSequence + 1;
            if (segment.LastSequence == head?.LastSequence)
                break;
        }

        var isWhole = head is not null && head.LastSequence == next - 1 && head.Seal.Span.SequenceEqual(previous.Span);
        return Result(isWhole ? null : $"records are missing at the end: the head stands at {head?.LastSequence ?? 0}");

        AuditCheckResult Result(string? fault) => new(node, next - 1, Convert.ToHexStringLower(previous.Span), fault);
    }
}
