using SignSvc.Load.Running;

namespace SignSvc.Load.Scenarios;

internal static class AllScenarios
{
    public static IReadOnlyList<Scenario> List { get; } =
    [
        new CiRelease(), new TokenStorm(), new TokenBatch(), new JwksFleet(), new MixedDay(), new RotationUnderLoad(), new KmsThrottled(), new TenantFlood(), new HalfLoad(), new Soak(),
    ];

    public static Scenario Find(string name) =>
        List.FirstOrDefault(s => string.Equals(s.Name, name, StringComparison.Ordinal))
        ?? throw new UsageException($"There is no scenario {name}; there are {string.Join(", ", List.Select(s => s.Name))}.");
}
