using System.Diagnostics;
using System.Text.Json;
using SignSvc.Load.Calls;
using SignSvc.Load.Measuring;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Growth;

/// <summary>
/// More and more nodes on one PostgreSQL: what they cost while nobody asks, how soon all follow a change and a rotation,
/// and what a token costs when it is asked of all in turn.
/// </summary>
internal sealed class NodeGrowth(MeasuredPostgres database, GrowthFigures figures) : IAsyncDisposable
{
    private const string Gate = "gate";
    private const string Rolling = "rolling";

    /// <summary>Beyond it what is waited for does not come.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    /// <summary>Between two looks at a node: as exact as the times until all follow are.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(5);

    private readonly List<(ServiceTarget Service, ITransport Http)> _nodes = [];
    private ServiceCalls _watched = null!;

    public async Task RunAsync(int most, CancellationToken cancellationToken)
    {
        await StartAsync(cancellationToken);
        await PrepareAsync(cancellationToken);
        foreach (var size in Sizes(most))
        {
            while (_nodes.Count < size)
                await StartAsync(cancellationToken);
            var at = figures.At("nodes", size);
            at.Add("a denial, until all hold to it", await FollowDenialsAsync(cancellationToken));
            var rotations = await FollowRotationsAsync(cancellationToken);
            at.Add(
                "a rotation without a lead, until all sign with the new version", "s", rotations.Percentile(50).TotalSeconds, rotations.Max.TotalSeconds);
            await at.CpuAsync(
                [.. _nodes.Select(n => n.Http)], _nodes[0].Service.Admin.Token(), cancellationToken,
                ("a token, the nodes together", NodesCpu), ("a token, the database", database.Cpu));
            await IdleAsync(at, cancellationToken);
            at.Add("sessions of the database", "", await database.SessionsAsync(cancellationToken));
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var (service, http) in _nodes)
        {
            await http.DisposeAsync();
            await service.DisposeAsync();
        }
    }

    /// <summary>One, two, three, four, then twice as many.</summary>
    private static IEnumerable<int> Sizes(int most)
    {
        for (var size = 1; size < most; size = size < 4 ? size + 1 : size * 2)
            yield return size;
        yield return most;
    }

    private async Task StartAsync(CancellationToken cancellationToken)
    {
        var settings = new Dictionary<string, string>(database.Settings, StringComparer.Ordinal) { ["SignSvc__Node"] = $"node-{_nodes.Count}" };
        var service = await ServiceTarget.StartAsync(settings, cancellationToken, _nodes.Count == 0 ? null : _nodes[0].Service);
        _nodes.Add((service, service.Open(Protocol.Http1)));
    }

    private async Task PrepareAsync(CancellationToken cancellationToken)
    {
        var (service, http) = _nodes[0];
        _watched = await service.WithRoleAsync("watched", "signer", cancellationToken);
        await http.MustAsync(
            service.Admin.CreateKey($$$"""{"name":"{{{Rolling}}}","purpose":"tokens","tier":"volume","backend":"software","spec":"ECC_NIST_P256","rotation":{"leadSeconds":0}}"""),
            cancellationToken);
        await http.MustAsync(service.Admin.PutProfile(Rolling, $$"""{"key":"{{Rolling}}","audiences":["*"]}"""), cancellationToken);
    }

    private async Task IdleAsync(FiguresOfSize at, CancellationToken cancellationToken)
    {
        // What is left of the work before is not idleness.
        await Task.Delay(figures.Effort.Idle / 3, TimeProvider.System, cancellationToken);
        var transactions = await database.TransactionsAsync(cancellationToken);
        var (nodes, server, begun) = (NodesCpu(), database.Cpu(), Stopwatch.GetTimestamp());
        await Task.Delay(figures.Effort.Idle, TimeProvider.System, cancellationToken);
        var seconds = Stopwatch.GetElapsedTime(begun).TotalSeconds;
        at.Add("idle: CPU of a node", "ms a second", (NodesCpu() - nodes).TotalMilliseconds / seconds / _nodes.Count);
        at.Add("idle: CPU of the database", "ms a second", (database.Cpu() - server).TotalMilliseconds / seconds);
        at.Add("idle: transactions", "a second", (await database.TransactionsAsync(cancellationToken) - transactions) / seconds);
    }

    /// <summary>A policy that takes somebody's tokens away, and gives them back; each at another node.</summary>
    private async Task<Histogram> FollowDenialsAsync(CancellationToken cancellationToken)
    {
        var times = new Histogram();
        for (var i = 0; i < figures.Effort.Changes * 2; i++)
        {
            var denies = i % 2 == 0;
            var statement = """{"effect":"deny","principals":["credential:watched"],"actions":["tokens:Issue"],"resources":["*"]}""";
            var change = _nodes[0].Service.Admin.PutPolicy(Gate, $$"""{"statements":[{{(denies ? statement : "")}}]}""");
            var time = await UntilAllAsync(i, change, _watched.Token(), a => (a.Status == 403) == denies, cancellationToken);
            if (denies)
                times.Record(time);
        }

        return times;
    }

    /// <summary>Each is asked for when the one before has reached all, right after the schedule's turn: the longest wait for the next.</summary>
    private async Task<Histogram> FollowRotationsAsync(CancellationToken cancellationToken)
    {
        var times = new Histogram();
        var token = _nodes[0].Service.Admin.Token(Rolling) with { KeepsBody = true };
        for (var i = 0; i < figures.Effort.Changes / 2; i++)
        {
            var before = KidOf(await _nodes[0].Http.MustAsync(token, cancellationToken));
            times.Record(await UntilAllAsync(
                i, _nodes[0].Service.Admin.Rotate(Rolling), token, a => !string.Equals(KidOf(a), before, StringComparison.Ordinal), cancellationToken));
        }

        return times;
    }

    /// <summary>From asking one node for a change until each of them has answered as it should then.</summary>
    private async Task<TimeSpan> UntilAllAsync(int turn, Call change, Call probe, Func<Answer, bool> follows, CancellationToken cancellationToken)
    {
        var begun = Stopwatch.GetTimestamp();
        await Task.WhenAll([_nodes[turn % _nodes.Count].Http.MustAsync(change, cancellationToken), .. _nodes.Select(FollowAsync)]);
        return Stopwatch.GetElapsedTime(begun);

        async Task<Answer> FollowAsync((ServiceTarget Service, ITransport Http) node)
        {
            while (Stopwatch.GetElapsedTime(begun) < Patience)
            {
                var answer = await node.Http.SendAsync(probe, cancellationToken);
                if (follows(answer))
                    return answer;
                await Task.Delay(Look, TimeProvider.System, cancellationToken);
            }

            throw new InvalidOperationException($"{change.Method} {change.Path} did not reach {node.Service.Http} within {Patience.TotalSeconds} s.");
        }
    }

    private TimeSpan NodesCpu() => _nodes.Aggregate(TimeSpan.Zero, (sum, n) => sum + ProcessUsage.CpuOf(n.Service.ProcessId!.Value));

    private static string KidOf(Answer answer)
    {
        using var json = JsonDocument.Parse(answer.Body);
        return json.RootElement.GetProperty("kid").GetString()!;
    }
}
