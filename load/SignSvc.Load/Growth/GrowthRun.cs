using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using SignSvc.Load.Calls;
using SignSvc.Load.Measuring;
using SignSvc.Load.Surroundings;
using SignSvc.Tests.Shared;

namespace SignSvc.Load.Growth;

internal sealed record GrowthOptions(int Keys, long AuditRows, bool OnPostgres, string Command);

/// <summary>One question at one size.</summary>
public sealed record GrowthPoint(string Of, long Size, string Question, double P50, double Most);

internal sealed record GrowthResult(Machine Machine, string Command, string Store, IReadOnlyList<GrowthPoint> Points, double LoadAverageAtEnd);

/// <summary>
/// Fills a service with keys, then with audit records, through its own API, and asks the same questions at each power of
/// ten: what is listed and searched must not cost more because there is more.
/// </summary>
internal sealed class GrowthRun(GrowthOptions options, TextWriter output)
{
    /// <summary>Asked for comparison: neither lists nor searches.</summary>
    public const string Token = "a token";
    public const string KeyChange = "a change of a key";

    private const int FirstSize = 100;
    private const int Askings = 25;
    private const int BatchSize = 1000;
    private const int Together = 16;
    private const int RareUses = 20;
    private const int FillAttempts = 30;

    private readonly List<GrowthPoint> _points = [];

    public async Task<GrowthResult> RunAsync(CancellationToken cancellationToken)
    {
        var machine = await Machine.DescribeAsync(TimeProvider.System, cancellationToken);
        if (!options.OnPostgres)
            return await RunAsync(machine, "SQLite", new Dictionary<string, string>(StringComparer.Ordinal), cancellationToken);
        await using var cluster = await PostgresCluster.CreateAsync(cancellationToken);
        var settings = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["SignSvc__Store__Postgres"] = cluster.ConnectionString(await cluster.CreateDatabaseAsync(cancellationToken)),
        };
        return await RunAsync(machine, "PostgreSQL", settings, cancellationToken);
    }

    private async Task<GrowthResult> RunAsync(Machine machine, string store, Dictionary<string, string> settings, CancellationToken cancellationToken)
    {
        await using var service = await ServiceTarget.StartAsync(settings, cancellationToken);
        await using var http = service.Open(Protocol.Http1);
        await GrowKeysAsync(service, http, cancellationToken);
        await GrowAuditAsync(service, http, cancellationToken);
        return new GrowthResult(machine, options.Command, store, _points, Machine.LoadNow());
    }

    private async Task GrowKeysAsync(ServiceTarget service, ITransport http, CancellationToken cancellationToken)
    {
        var made = 0;
        foreach (var size in Sizes(options.Keys))
        {
            await AtOnceAsync((int)size - made, i => MustAsync(http, service.Admin.CreateKey(KeyJson(made + i)), cancellationToken), cancellationToken);
            made = (int)size;
            await AskAsync("keys", size, "first page of 100", http, service.Admin.ListKeys("limit=100"), cancellationToken);
            await AskAsync("keys", size, "page of 100 from the middle", http, service.Admin.ListKeys($"limit=100&after={Name(made / 2)}"), cancellationToken);
            await AskAsync("keys", size, "by prefix", http, service.Admin.ListKeys($"prefix={Name(made / 2)}"), cancellationToken);
            await AskAsync("keys", size, "by a tag that one key has", http, service.Admin.ListKeys($"tag={Uri.EscapeDataString("only=one")}"), cancellationToken);
            await AskAsync("keys", size, Token, http, service.Admin.Token(), cancellationToken);
            await AskAsync("keys", size, KeyChange, http, service.Admin.Describe(Name(0), $"at {size}"), cancellationToken);
        }
    }

    private async Task GrowAuditAsync(ServiceTarget service, ITransport http, CancellationToken cancellationToken)
    {
        var (rare, digest) = await RareAsync(service, http, cancellationToken);
        var batch = service.Admin.TokenBatch(BatchSize);
        var recorded = RowsOf(rare.FirstId);
        var begun = TimeProvider.System.GetUtcNow();
        foreach (var size in Sizes(options.AuditRows).Where(s => s > recorded))
        {
            var batches = (int)Math.Max(1, (size - recorded) / BatchSize);
            await AtOnceAsync(batches, _ => FillAsync(http, batch, cancellationToken), cancellationToken, together: 2);
            recorded += (long)batches * BatchSize;
            var old = Uri.EscapeDataString(begun.ToString("O", CultureInfo.InvariantCulture));
            await AskAsync("audit rows", size, "newest 100", http, service.Admin.SearchAudit("limit=100"), cancellationToken);
            await AskAsync("audit rows", size, "by audit id", http, service.Admin.SearchAudit($"auditId={rare.FirstId}"), cancellationToken);
            await AskAsync("audit rows", size, "a caller who came 20 times, first of all", http, service.Admin.SearchAudit($"caller=credential:{rare.Name}&limit=100"), cancellationToken);
            await AskAsync("audit rows", size, "that caller, a key and an action", http, service.Admin.SearchAudit($"caller=credential:{rare.Name}&key=release&action=keys:Sign&limit=100"), cancellationToken);
            await AskAsync("audit rows", size, "one digest", http, service.Admin.SearchAudit($"digest={Uri.EscapeDataString(digest)}"), cancellationToken);
            await AskAsync("audit rows", size, "a digest that never was", http, service.Admin.SearchAudit($"digest={Uri.EscapeDataString(Convert.ToBase64String(new byte[32]))}"), cancellationToken);
            await AskAsync("audit rows", size, "what is denied", http, service.Admin.SearchAudit("outcome=denied&limit=100"), cancellationToken);
            await AskAsync("audit rows", size, "the oldest hundred of a time", http, service.Admin.SearchAudit($"to={old}&limit=100"), cancellationToken);
            await AskAsync("audit rows", size, Token, http, service.Admin.Token(), cancellationToken);
            output.WriteLine($"  {recorded} audit rows; database {service.DatabaseBytes / 1048576} MiB");
        }
    }

    /// <summary>Twenty signatures of a caller who does not come again.</summary>
    private static async Task<((string Name, string FirstId) Rare, string Digest)> RareAsync(ServiceTarget service, ITransport http, CancellationToken cancellationToken)
    {
        const string name = "rare";
        var made = await MustAsync(http, service.Admin.CreateCredential(name, "signer"), cancellationToken);
        using var credential = JsonDocument.Parse(made.Body);
        var caller = new ServiceCalls(credential.RootElement.GetProperty("token").GetString()!);
        var (id, digest) = ("", "");
        for (var i = 0; i < RareUses; i++)
        {
            var call = caller.Sign("release") with { KeepsBody = true };
            using var answer = JsonDocument.Parse((await MustAsync(http, call, cancellationToken)).Body);
            id = answer.RootElement.GetProperty("auditId").GetString()!;
            using var asked = JsonDocument.Parse(call.Json!);
            digest = asked.RootElement.GetProperty("digest").GetString()!;
        }

        return ((name, id), digest);
    }

    private async Task AskAsync(string of, long size, string question, ITransport http, Call call, CancellationToken cancellationToken)
    {
        var times = new Histogram();
        for (var i = 0; i <= Askings; i++)
        {
            var asked = Stopwatch.GetTimestamp();
            await MustAsync(http, call, cancellationToken);
            // The first one compiles, or reads what was not in memory; it is asked again.
            if (i > 0)
                times.Record(Stopwatch.GetElapsedTime(asked));
        }

        var point = new GrowthPoint(of, size, question, times.Percentile(50).TotalMilliseconds, times.Max.TotalMilliseconds);
        _points.Add(point);
        output.WriteLine($"  {size} {of}, {question}: p50 {point.P50:0.00} ms, most {point.Most:0.00} ms");
    }

    private static IEnumerable<long> Sizes(long most)
    {
        for (long size = FirstSize; size < most; size *= 10)
            yield return size;
        yield return most;
    }

    private static long RowsOf(string auditId) => long.Parse(auditId[(auditId.LastIndexOf('-') + 1)..], CultureInfo.InvariantCulture);

    private static string Name(int i) => string.Create(CultureInfo.InvariantCulture, $"key-{i:D7}");

    private static string KeyJson(int i) =>
        $$$"""{"name":"{{{Name(i)}}}","purpose":"artifacts","tier":"assured","backend":"software","spec":"ECC_NIST_P256","tags":{"team":"t{{{i % 50}}}"{{{(i == 7 ? ",\"only\":\"one\"" : "")}}} }}""";

    private static async Task AtOnceAsync(int count, Func<int, Task> act, CancellationToken cancellationToken, int together = Together) =>
        await Parallel.ForAsync(0, count, new ParallelOptions { MaxDegreeOfParallelism = together, CancellationToken = cancellationToken }, async (i, _) => await act(i));

    /// <summary>Filling is not measured: a batch for which the store has no room now is sent again, as its 503 asks.</summary>
    private static async Task FillAsync(ITransport http, Call call, CancellationToken cancellationToken)
    {
        for (var attempt = 1; attempt < FillAttempts; attempt++)
        {
            var answer = await http.SendAsync(call, cancellationToken);
            if (answer.Status != 503)
            {
                Accept(call, answer);
                return;
            }

            await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, cancellationToken);
        }

        await MustAsync(http, call, cancellationToken);
    }

    private static async Task<Answer> MustAsync(ITransport http, Call call, CancellationToken cancellationToken) =>
        Accept(call, await http.SendAsync(call, cancellationToken));

    private static Answer Accept(Call call, Answer answer) => answer.Status is >= 200 and < 300
        ? answer
        : throw new InvalidOperationException($"{call.Method} {call.Path} answered {answer.Status}: {Encoding.UTF8.GetString(answer.Body.Span)}");
}
