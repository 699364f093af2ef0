using System.Diagnostics;
using SignSvc.Load.Calls;
using SignSvc.Load.Measuring;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Growth;

/// <summary>Collects the figures of a run, and says each when it is there.</summary>
internal sealed class GrowthFigures(GrowthEffort effort, TextWriter output)
{
    private readonly List<GrowthPoint> _points = [];

    public IReadOnlyList<GrowthPoint> Points => _points;

    public GrowthEffort Effort => effort;

    public FiguresOfSize At(string of, long size) => new(this, of, size);

    public void Add(GrowthPoint point)
    {
        _points.Add(point);
        output.WriteLine($"  {point.Size} {point.Of}, {point.Question}: {point.Value:0.00}{(point.Most is { } most ? $" (most {most:0.00})" : "")} {point.Unit}");
    }
}

/// <summary>Asks the same at each size.</summary>
internal sealed class FiguresOfSize(GrowthFigures figures, string of, long size)
{
    /// <summary>For lists and searches: somebody waits before a screen.</summary>
    private const double GoalMilliseconds = 50;

    private const int Rounds = 5;
    private const int Together = 16;

    /// <summary>A list or a search, which must not cost more because there is more.</summary>
    public Task ListAsync(string question, ITransport http, Call call, CancellationToken cancellationToken) =>
        AskAsync(question, http, () => call, cancellationToken, GoalMilliseconds);

    /// <summary>The time of one call, one after the other.</summary>
    public async Task AskAsync(string question, ITransport http, Func<Call> call, CancellationToken cancellationToken, double? goal = null)
    {
        var times = new Histogram();
        for (var i = 0; i <= figures.Effort.Askings; i++)
        {
            var next = call();
            var asked = Stopwatch.GetTimestamp();
            await http.MustAsync(next, cancellationToken);
            // The first one compiles, or reads what was not in memory; it is asked again.
            if (i > 0)
                times.Record(Stopwatch.GetElapsedTime(asked));
        }

        Add(question, times, goal);
    }

    /// <summary>The time of a single call, which nothing before has warmed.</summary>
    public async Task OnceAsync(string question, ITransport http, Call call, CancellationToken cancellationToken)
    {
        var asked = Stopwatch.GetTimestamp();
        await http.MustAsync(call, cancellationToken);
        Add(question, "ms", Stopwatch.GetElapsedTime(asked).TotalMilliseconds);
    }

    public void Add(string question, Histogram times, double? goal = null) =>
        figures.Add(new GrowthPoint(of, size, question, "ms", times.Percentile(50).TotalMilliseconds, times.Max.TotalMilliseconds, goal));

    public void Add(string question, string unit, double value, double? most = null) => figures.Add(new GrowthPoint(of, size, question, unit, value, most));

    /// <summary>Server CPU of each of some calls, where sixteen ask at once.</summary>
    public async Task CpuAsync(ServiceTarget service, ITransport http, CancellationToken cancellationToken, params CpuQuestion[] questions)
    {
        var rounds = await MeasureAsync([http], questions, [() => ProcessUsage.CpuOf(service.ProcessId!.Value)], cancellationToken);
        for (var i = 0; i < questions.Length; i++)
            AddCpu(questions[i].Says, rounds[i, 0]);
    }

    /// <summary>CPU of one call in each of several processes; the servers are asked in turn.</summary>
    public async Task CpuAsync(
        IReadOnlyList<ITransport> servers, Call call, CancellationToken cancellationToken, params (string Question, Func<TimeSpan> Cpu)[] processes)
    {
        var rounds = await MeasureAsync(servers, [new CpuQuestion("", call)], [.. processes.Select(p => p.Cpu)], cancellationToken);
        for (var i = 0; i < processes.Length; i++)
            AddCpu(processes[i].Question, rounds[0, i]);
    }

    private void AddCpu(string question, List<double> rounds) =>
        Add(question, "µs of CPU", Sample.Median(rounds), rounds.Max());

    /// <summary>Rounds are interleaved, so that what else the machine does falls on all alike.</summary>
    private async Task<List<double>[,]> MeasureAsync(
        IReadOnlyList<ITransport> servers, CpuQuestion[] questions, Func<TimeSpan>[] processes, CancellationToken cancellationToken)
    {
        var calls = figures.Effort.Calls;
        var each = new List<double>[questions.Length, processes.Length];
        for (var round = 0; round <= Rounds; round++)
        {
            for (var q = 0; q < questions.Length; q++)
            {
                var before = processes.Select(cpu => cpu()).ToArray();
                await CallAsync(servers, questions[q], calls, cancellationToken);
                for (var p = 0; p < processes.Length; p++)
                {
                    each[q, p] ??= [];
                    // The first round is for compilers and caches.
                    if (round > 0)
                        each[q, p].Add((processes[p]() - before[p]).TotalMicroseconds / calls);
                }
            }
        }

        return each;
    }

    private static async Task CallAsync(IReadOnlyList<ITransport> servers, CpuQuestion question, int calls, CancellationToken cancellationToken) =>
        await Parallel.ForAsync(0, calls, new ParallelOptions { MaxDegreeOfParallelism = Together, CancellationToken = cancellationToken }, async (i, cancel) =>
        {
            var server = servers[i % servers.Count];
            if (!question.IsRefused)
                await server.MustAsync(question.Call, cancel);
            else if ((await server.SendAsync(question.Call, cancel)).Status != 403)
                throw new InvalidOperationException($"{question.Call.Method} {question.Call.Path} was not denied.");
        });
}

/// <param name="IsRefused">The answer has to be a denial (403).</param>
internal sealed record CpuQuestion(string Says, Call Call, bool IsRefused = false);

internal static class GrowthSizes
{
    /// <summary>Powers of ten times the first, and the last.</summary>
    public static IEnumerable<long> TenfoldFrom(long first, long most)
    {
        for (var size = first; size < most; size *= 10)
            yield return size;
        yield return most;
    }
}
