using System.Globalization;

namespace SignSvc.Load;

/// <param name="Seconds">Length of one round of one scenario.</param>
/// <param name="Rounds">Every scenario runs once a round; medians are reported.</param>
/// <param name="Connections">Callers that each wait for an answer before they ask again.</param>
public sealed record LoadOptions(int Seconds = 5, int Rounds = 3, int Connections = 16)
{
    public static LoadOptions Parse(string[] args)
    {
        var options = new LoadOptions();
        for (var i = 0; i + 1 < args.Length; i += 2)
        {
            var value = int.Parse(args[i + 1], CultureInfo.InvariantCulture);
            options = args[i] switch
            {
                "--seconds" => options with { Seconds = value },
                "--rounds" => options with { Rounds = value },
                "--connections" => options with { Connections = value },
                _ => throw new ArgumentException($"{args[i]} is not an option; known are --seconds, --rounds, --connections.", nameof(args)),
            };
        }

        return options;
    }
}

/// <summary>One scenario for a few seconds.</summary>
/// <param name="Signatures">Made by the service, or, in raw rounds, by .NET alone.</param>
/// <param name="Cpu">Of the server process (user and system), or of the raw loop.</param>
public sealed record Round(string Scenario, long Answers, long Signatures, long Failures, TimeSpan Elapsed, TimeSpan Cpu, double P50, double P99)
{
    public double PerSecond => Answers / Elapsed.TotalSeconds;

    public double CpuMicroseconds => Cpu.TotalMicroseconds / Math.Max(1, Signatures);
}
