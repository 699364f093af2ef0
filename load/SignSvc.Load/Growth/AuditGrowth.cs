using System.Globalization;
using System.Text.Json;
using SignSvc.Load.Calls;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Growth;

/// <summary>
/// Audit records, made through the service's own API: twenty of a caller who does not come again, then tokens by the
/// thousand. What is searched for is among the oldest, and the keys are listed over all of them.
/// </summary>
internal sealed class AuditGrowth(ServiceTarget service, ITransport http, GrowthStore store, GrowthFigures figures, KeyGrowth? keys)
{
    private const string RareName = "rare";
    private const int FirstSize = 1000;
    private const int BatchSize = 1000;
    private const int BatchesTogether = 2;
    private const int RareUses = 20;

    public async Task RunAsync(long most, CancellationToken cancellationToken)
    {
        var begun = TimeProvider.System.GetUtcNow();
        var (id, digest) = await SignRarelyAsync(cancellationToken);
        var batch = service.Admin.TokenBatch(BatchSize);
        var recorded = RowsOf(id);
        var (rowsBefore, bytesBefore) = (recorded, await store.BytesAsync(service, cancellationToken));
        foreach (var size in GrowthSizes.TenfoldFrom(FirstSize, most).Where(s => s > recorded))
        {
            var (batches, rest) = Math.DivRem(size - recorded, BatchSize);
            await http.MustAsync(service.Admin.TokenBatch((int)Math.Max(1, rest)), cancellationToken);
            await Parallel.ForAsync(
                0, (int)batches, new ParallelOptions { MaxDegreeOfParallelism = BatchesTogether, CancellationToken = cancellationToken },
                async (_, cancel) => await http.MustAsync(batch, cancel));
            recorded = size;
            var at = figures.At("audit rows", size);
            var bytes = await store.BytesAsync(service, cancellationToken);
            await SearchAsync(at, begun, id, digest, cancellationToken);
            if (keys is not null)
                await keys.ListAsync(at, cancellationToken);
            await at.AskAsync("a token", http, () => service.Admin.Token(), cancellationToken);
            at.Add("database", "MiB", bytes / 1048576.0);
            at.Add("database, a row", "bytes", (double)(bytes - bytesBefore) / (recorded - rowsBefore));
        }
    }

    private async Task SearchAsync(FiguresOfSize at, DateTimeOffset begun, string id, string digest, CancellationToken cancellationToken)
    {
        const string caller = $"caller=credential:{RareName}";
        var old = Uri.EscapeDataString(begun.ToString("O", CultureInfo.InvariantCulture));
        foreach (var (question, query) in new[]
        {
            ("newest 100", "limit=100"),
            ("by audit id", $"auditId={id}"),
            ("a caller who came 20 times, first of all", $"{caller}&limit=100"),
            ("that caller, a key and an action", $"{caller}&key=release&action=keys:Sign&limit=100"),
            ("one digest", $"digest={Uri.EscapeDataString(digest)}"),
            ("a digest that never was", $"digest={Uri.EscapeDataString(Convert.ToBase64String(new byte[32]))}"),
            ("what is denied", "outcome=denied&limit=100"),
            ("the oldest hundred of a time", $"to={old}&limit=100"),
        })
        {
            var search = service.Admin.SearchAudit(query);
            await store.ForgetAsync(service, cancellationToken);
            await at.OnceAsync($"{question}: once, from the disk", http, search, cancellationToken);
            await at.ListAsync(question, http, search, cancellationToken);
        }
    }

    /// <returns>The last audit id, and the digest that was signed under it.</returns>
    private async Task<(string Id, string Digest)> SignRarelyAsync(CancellationToken cancellationToken)
    {
        var caller = await service.WithRoleAsync(RareName, "signer", cancellationToken);
        var (id, digest) = ("", "");
        for (var i = 0; i < RareUses; i++)
        {
            var call = caller.Sign("release") with { KeepsBody = true };
            using var answer = JsonDocument.Parse((await http.MustAsync(call, cancellationToken)).Body);
            id = answer.RootElement.GetProperty("auditId").GetString()!;
            using var asked = JsonDocument.Parse(call.Json!);
            digest = asked.RootElement.GetProperty("digest").GetString()!;
        }

        return (id, digest);
    }

    private static long RowsOf(string auditId) => long.Parse(auditId[(auditId.LastIndexOf('-') + 1)..], CultureInfo.InvariantCulture);
}
