using System.Diagnostics;
using System.Security.Cryptography;

namespace SignSvc.Load;

/// <summary>The limit: P-256 signatures by .NET in a bare loop on every processor.</summary>
public static class RawSignatures
{
    public const string Name = "raw .NET P-256 signatures";

    public static Round Run(LoadOptions options)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var digest = RandomNumberGenerator.GetBytes(32);
        var total = 0L;
        var length = TimeSpan.FromSeconds(options.Seconds);
        var cpuBefore = Process.GetCurrentProcess().TotalProcessorTime;
        var started = Stopwatch.GetTimestamp();
        Parallel.For(0, Environment.ProcessorCount, _ =>
        {
            var made = 0L;
            while (Stopwatch.GetElapsedTime(started) < length)
            {
                key.SignHash(digest, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
                made++;
            }

            Interlocked.Add(ref total, made);
        });
        var elapsed = Stopwatch.GetElapsedTime(started);
        var cpu = Process.GetCurrentProcess().TotalProcessorTime - cpuBefore;
        return new Round(Name, total, total, Failures: 0, elapsed, cpu, double.NaN, double.NaN);
    }
}
