using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using SignSvc.Load.Arrivals;
using SignSvc.Load.Calls;
using SignSvc.Load.Running;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Scenarios;

/// <summary>A key rotates again and again while tokens are issued with it.</summary>
internal sealed class RotationUnderLoad : Scenario
{
    private const int Rotations = 5;
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(8);

    public override string Name => "rotation-under-load";

    public override string About =>
        "300 tokens a second while their key is rotated five times: no call fails, and every kid that was ever seen on a token is in the key set.";

    public override async Task<Plan> PlanAsync(ServiceTarget service, CancellationToken cancellationToken)
    {
        const string profile = "rotating";
        await service.MustAsync(
            service.Admin.CreateKey("""{"name":"rotating","purpose":"tokens","tier":"volume","backend":"software","spec":"ECC_NIST_P256","rotation":{"leadSeconds":3}}"""),
            cancellationToken);
        await service.MustAsync(service.Admin.PutProfile(profile, """{"key":"rotating","audiences":["*"]}"""), cancellationToken);
        var kids = new ConcurrentDictionary<string, bool>(StringComparer.Ordinal);
        var missing = new ConcurrentBag<string>();
        var tokens = new Flow("tokens")
        {
            Pace = Pace.Begin.Steady(300, Between * (Rotations + 1)),
            Steps = [new Step(() => service.Admin.Token(profile))],
            Inspect = answer =>
            {
                kids.TryAdd(KidOf(answer), value: true);
                return null;
            },
            Protocol = Protocol.Http1,
            Thresholds = [Threshold.NoFailures, Threshold.EverythingSent, Threshold.P99Within(TimeSpan.FromMilliseconds(50))],
        };
        var events = Enumerable.Range(1, Rotations).Select(i => new PlannedEvent(Between * i, $"rotation {i}", async cancel =>
        {
            await CheckKidsAsync(cancel);
            await service.MustAsync(service.Admin.Rotate(profile), cancel);
        })).Append(new PlannedEvent((Between * (Rotations + 1)) - TimeSpan.FromSeconds(1), "the last look at the key set", CheckKidsAsync));
        return new Plan(
            [tokens],
            [.. events],
            [
                new Check("every kid of a token is in the key set", _ => missing.IsEmpty ? null : $"missing: {string.Join(", ", missing.Distinct(StringComparer.Ordinal))}"),
                // A lead and the scheduler's step pass between a rotation and its effect: shortened, a run sees fewer of them.
                new Check("more than half of the versions signed", _ => kids.Count > (Rotations + 1) / 2 ? null : $"{kids.Count} did"),
            ]);

        async Task CheckKidsAsync(CancellationToken cancel)
        {
            var seen = kids.Keys.ToList();
            var set = Encoding.UTF8.GetString((await service.MustAsync(ServiceCalls.KeySet() with { KeepsBody = true }, cancel)).Body.Span);
            foreach (var kid in seen.Where(k => !set.Contains($"\"{k}\"", StringComparison.Ordinal)))
                missing.Add(kid);
        }
    }

    private static string KidOf(Answer answer)
    {
        using var json = JsonDocument.Parse(answer.Body);
        return json.RootElement.GetProperty("kid").GetString()!;
    }
}
