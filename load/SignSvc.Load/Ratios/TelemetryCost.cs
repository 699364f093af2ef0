using System.Globalization;
using System.Text;
using SignSvc.Load.Calls;
using SignSvc.Load.Measuring;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Ratios;

/// <summary>
/// What telemetry costs of the service's CPU for a token: three services that differ in nothing else, in turn, so that the
/// machine's drift falls on all of them alike.
/// </summary>
internal sealed class TelemetryCost(RatioOptions options, TextWriter output)
{
    public const string Off = "no telemetry, callers not watched";
    public const string Metrics = "metrics, read every 5 s, and callers watched (the default)";
    public const string All = "as before, and OTLP: metrics, logs, one request in a hundred traced";

    private const int Connections = 64;

    /// <summary>Shorter than anybody's, so that the cost of a scrape is in it.</summary>
    private static readonly TimeSpan BetweenScrapes = TimeSpan.FromSeconds(5);

    private readonly List<Round> _rounds = [];
    private Machine _machine = null!;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        _machine = await Machine.DescribeAsync(TimeProvider.System, cancellationToken);
        // It takes whatever is sent to it.
        var (collector, url) = await ConstantEndpoint.StartAsync(0, cancellationToken);
        await using var ending = collector;
        await using var off = await ServiceTarget.StartAsync(With(("SignSvc__Telemetry__Metrics", "Off"), ("SignSvc__Usage__Callers", "0")), cancellationToken);
        await using var metrics = await ServiceTarget.StartAsync(With(), cancellationToken);
        await using var all = await ServiceTarget.StartAsync(With(("SignSvc__Telemetry__OtlpEndpoint", url.AbsoluteUri)), cancellationToken);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var scrapes = Task.WhenAll(ScrapeAsync(metrics, over.Token), ScrapeAsync(all, over.Token));

        (string, ServiceTarget)[] subjects = [(Off, off), (Metrics, metrics), (All, all)];
        var loops = subjects.Select(s => new ClosedLoop(s.Item1, s.Item2.Http, s.Item2.ProcessId!.Value, [s.Item2.Admin.Token()], Connections)).ToArray();
        foreach (var loop in loops)
            await loop.RunAsync(TimeSpan.FromSeconds(3), cancellationToken);
        for (var i = 0; i < options.Rounds; i++)
        {
            // Nobody is always the first.
            foreach (var at in Enumerable.Range(i, loops.Length))
            {
                var round = await loops[at % loops.Length].RunAsync(options.Length, cancellationToken);
                _rounds.Add(round);
                await output.WriteLineAsync($"  {i + 1}/{options.Rounds} {round.Subject}: {round.CpuMicroseconds:0.0} µs of CPU for each of {round.Operations}, {round.Failures} failed");
            }
        }

        await over.CancelAsync();
        await scrapes;
    }

    public string Markdown()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            # What telemetry costs

            `{options.Command}` at {_machine.Commit}, {_machine.At:yyyy-MM-dd HH:mm} UTC: {_machine.Processors} × {_machine.Processor}, {_machine.System}, {_machine.Runtime};
            load average {_machine.LoadAverage:0.0} at the start and {Machine.LoadNow():0.0} at the end.

            CPU of the service's process, as the kernel accounts it, for one token over HTTP/1.1 with {Connections} connections: medians of {options.Rounds} rounds
            of {options.Length.TotalSeconds:0.#} s, in turn. The ratio is the median of the rounds' own ratios, each against the round beside it.

            | | CPU of one token | of that without | lowest and highest round |
            |---|---|---|---|

            """);
        var off = Cpu(Off);
        foreach (var subject in new[] { Off, Metrics, All })
        {
            var cpu = Cpu(subject);
            var ratio = Sample.Median(cpu.Zip(off, (with, without) => with / without));
            text.Append(CultureInfo.InvariantCulture, $"| {subject} | {Sample.Median(cpu):0.0} µs | {(subject is Off ? "1" : $"{ratio:0.000}")} | {cpu.Min():0.0} to {cpu.Max():0.0} µs |\n");
        }

        return text.ToString();
    }

    private double[] Cpu(string subject) => [.. _rounds.Where(r => string.Equals(r.Subject, subject, StringComparison.Ordinal)).Select(r => r.CpuMicroseconds)];

    private static Dictionary<string, string> With(params (string Name, string Value)[] settings) => settings.ToDictionary(s => s.Name, s => s.Value, StringComparer.Ordinal);

    private static async Task ScrapeAsync(ServiceTarget service, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                await service.MustAsync(new Call("GET", "/metrics"), cancellationToken);
                await Task.Delay(BetweenScrapes, TimeProvider.System, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The measurement is over.
        }
    }
}
