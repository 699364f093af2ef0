using System.Globalization;
using SignSvc.Load.Reports;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Running;

/// <summary>Scenarios one after another, each on a stage of its own and with a report; it ends with the first that is aborted.</summary>
/// <param name="folder">For the report's files; null: they are only printed.</param>
internal sealed class ScenarioSeries(RunOptions options, string? folder, TextWriter output, bool isTerminal)
{
    /// <returns>One of <see cref="ExitCode"/>.</returns>
    /// <exception cref="UsageException">The rate is below what one of them needs; none has run.</exception>
    public async Task<int> RunAsync(IReadOnlyList<Scenario> scenarios, Func<Scenario, Task<Stage>> setStage, CancellationToken interrupt)
    {
        if (scenarios.FirstOrDefault(s => options.RateScale < s.LeastRate) is { } eased)
            throw new UsageException(string.Create(CultureInfo.InvariantCulture, $"{eased.Name} proves nothing with --rate {options.RateScale}: say {eased.LeastRate} or more."));
        var held = true;
        foreach (var scenario in scenarios)
        {
            await using var stage = await setStage(scenario);
            var result = await new ScenarioRun(scenario, stage.Service, options, new LiveProgress(output, isTerminal)).RunAsync(interrupt);
            await output.WriteLineAsync("\n" + ScenarioReport.Markdown(result));
            if (folder is not null)
            {
                // An aborted run has its report, too.
                await ScenarioReport.WriteAsync(result, folder, CancellationToken.None);
            }

            await output.WriteLineAsync($"{scenario.Name}: {result.Ending}");
            if (result.Aborted is not null)
                return result.ExitCode;
            held &= result.Held;
        }

        return ExitCode.Of(held);
    }
}
