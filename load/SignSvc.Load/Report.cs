namespace SignSvc.Load;

/// <summary>Medians over the rounds, and what a signature costs the server beside a raw one.</summary>
public static class Report
{
    public static void Print(IReadOnlyList<Round> rounds, long residentBytes)
    {
        var raw = Median(rounds.Where(r => string.Equals(r.Scenario, RawSignatures.Name, StringComparison.Ordinal)).Select(r => r.CpuMicroseconds));
        Console.WriteLine();
        Console.WriteLine("| scenario | answers/s | failures | p50 ms | p99 ms | server CPU µs a signature | × raw |");
        Console.WriteLine("|---|---|---|---|---|---|---|");
        foreach (var scenario in rounds.GroupBy(r => r.Scenario, StringComparer.Ordinal))
        {
            var cpu = Median(scenario.Select(r => r.CpuMicroseconds));
            Console.WriteLine(
                $"| {scenario.Key} | {Median(scenario.Select(r => r.PerSecond)):F0} | {scenario.Sum(r => r.Failures)} "
                + $"| {Median(scenario.Select(r => r.P50)):F2} | {Median(scenario.Select(r => r.P99)):F2} | {cpu:F1} | {cpu / raw:F2} |");
        }

        Console.WriteLine($"\nresident memory of the service at the end: {residentBytes / 1024 / 1024} MiB");
    }

    private static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        var middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
