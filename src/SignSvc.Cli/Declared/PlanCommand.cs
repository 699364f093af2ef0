using System.CommandLine;
using System.Text.Json;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Declared;

/// <summary><c>signsvc plan</c>: what apply would do.</summary>
internal static class PlanCommand
{
    public static Command Create()
    {
        var exitCode = new Option<bool>("--exit-code") { Description = "Ends with 1 where the keys differ from the manifests, drift included." };
        var command = new Command("plan", "Shows how keys differ from their manifests; changes nothing.")
        {
            ManifestFiles.Paths, ManifestFiles.Ignored, Planner.Set, Planner.Prune, exitCode,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var declared = await ManifestFiles.ReadAsync(parsed, cancellationToken);
            using var service = ServiceClient.Connect(parsed);
            var plan = await Planner.Of(parsed, service).PlanAsync(declared, cancellationToken);
            if (parsed.WantsJson())
                await StandardOutput.WriteLineAsync(JsonSerializer.SerializeToUtf8Bytes(plan, CliJson.Default.PlanReport), cancellationToken);
            else
                PlanOutput.Write(plan);
            RefuseWhatCannotBe(plan);
            return parsed.GetValue(exitCode) && plan.Differs ? ExitCode.NotValid : ExitCode.Ok;
        });
        return command;
    }

    /// <exception cref="CommandException"><see cref="ExitCode.Usage"/>: one key at least cannot be as it is declared.</exception>
    public static void RefuseWhatCannotBe(PlanReport plan)
    {
        var refused = plan.Keys.Where(k => k.Action == PlanAction.Refused).Select(k => k.Key).ToArray();
        if (refused.Length > 0)
            throw CommandException.Usage($"Cannot be as declared: {string.Join(", ", refused)}. Nothing is applied until that is resolved.", plan.Keys.First(k => k.Refusal is not null).Refusal);
    }
}
