using System.CommandLine;
using System.Text.Json;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Declared;

/// <param name="Done">Key by key, the steps that were taken.</param>
/// <param name="Failed">The key whose steps were not all taken.</param>
/// <param name="NotBegun">Keys that nothing was done to.</param>
internal sealed record ApplyReport(IReadOnlyList<AppliedKey> Done, AppliedKey? Failed, string[] NotBegun);

/// <param name="Error">Why the step after the last failed.</param>
internal sealed record AppliedKey(string Key, IReadOnlyList<string> Steps, string? Error = null);

/// <summary><c>signsvc apply</c>: makes keys as they are declared. What is so already is left alone.</summary>
internal static class ApplyCommand
{
    public static Command Create()
    {
        var yes = Confirmation.YesOption();
        var command = new Command("apply", "Makes and changes keys so that they are as their manifests say.")
        {
            ManifestFiles.Paths, ManifestFiles.Ignored, Planner.Set, Planner.Prune, yes,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var declared = await ManifestFiles.ReadAsync(parsed, cancellationToken);
            using var service = ServiceClient.Connect(parsed);
            var planner = Planner.Of(parsed, service);
            var plan = await planner.PlanAsync(declared, cancellationToken);
            if (!parsed.WantsJson())
                PlanOutput.Write(plan);
            PlanCommand.RefuseWhatCannotBe(plan);
            var work = plan.Keys.Where(k => k.IsWork).ToArray();
            if (work.Length > 0)
                Confirm(work, parsed.GetValue(yes));
            await ApplyAsync(parsed, new Applier(service, planner, plan.Set, work), work, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>Once for all changes, and by its name for each key that is to be deleted.</summary>
    private static void Confirm(KeyPlan[] work, bool yes)
    {
        if (work.Any(k => k.Action != PlanAction.Delete))
            Confirmation.Require(yes, $"{work.Length} keys will be made, changed or pruned as shown.", "yes");
        foreach (var key in work.Where(k => k.Action == PlanAction.Delete))
        {
            Confirmation.Require(
                yes, $"The key {key.Key} signs nothing from now on, and its private keys are destroyed after {key.PendingWindowInDays} days.", key.Key);
        }
    }

    private static async Task ApplyAsync(ParseResult parsed, Applier applier, KeyPlan[] work, CancellationToken cancellationToken)
    {
        var done = new List<AppliedKey>();
        foreach (var key in work)
        {
            var steps = new List<string>();
            try
            {
                await applier.ApplyAsync(key, steps.Add, cancellationToken);
                done.Add(new AppliedKey(key.Key, steps));
            }
            catch (Exception e) when (e is CommandException or OperationCanceledException)
            {
                var notBegun = work.Skip(done.Count + 1).Select(k => k.Key).ToArray();
                await ReportAsync(parsed, new ApplyReport(done, new AppliedKey(key.Key, steps, e.Message), notBegun));
                throw;
            }
        }

        await ReportAsync(parsed, new ApplyReport(done, Failed: null, NotBegun: []));
    }

    /// <summary>Not cancelled with the work: what was done has to be told.</summary>
    private static async Task ReportAsync(ParseResult parsed, ApplyReport report)
    {
        if (parsed.WantsJson())
        {
            await StandardOutput.WriteLineAsync(JsonSerializer.SerializeToUtf8Bytes(report, CliJson.Default.ApplyReport), CancellationToken.None);
            return;
        }

        foreach (var key in report.Done)
            Console.Out.WriteLine($"done: {key.Key}: {string.Join(", ", key.Steps)}");
        if (report.Failed is { } failed)
        {
            Console.Out.WriteLine($"failed: {failed.Key}, after: {(failed.Steps.Count == 0 ? "nothing" : string.Join(", ", failed.Steps))}");
            foreach (var key in report.NotBegun)
                Console.Out.WriteLine($"not begun: {key}");
            Remarks.Write("Resolve it and apply again: what is done stays and is not done twice.");
        }
    }
}
