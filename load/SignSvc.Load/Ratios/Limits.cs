using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using SignSvc.Load.Measuring;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Ratios;

/// <summary>What this machine can do at all, measured in the same run.</summary>
internal static class Limits
{
    public const string Raw = "raw .NET P-256 signature";
    public const string OpenSsl = "openssl speed -multi 2 ecdsap256";

    /// <summary>P-256 signatures by .NET in a bare loop on every processor.</summary>
    public static Round SignRaw(TimeSpan length)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var digest = RandomNumberGenerator.GetBytes(SHA256.HashSizeInBytes);
        var total = 0L;
        var cpu = ProcessUsage.CpuOf(Environment.ProcessId);
        var started = Stopwatch.GetTimestamp();
        var threads = Enumerable.Range(0, Environment.ProcessorCount).Select(_ => new Thread(() =>
        {
            var made = 0L;
            for (; Stopwatch.GetElapsedTime(started) < length; made++)
                key.SignHash(digest, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
            Interlocked.Add(ref total, made);
        })).ToList();
        threads.ForEach(t => t.Start());
        threads.ForEach(t => t.Join());
        var elapsed = Stopwatch.GetElapsedTime(started);
        return new Round(Raw, total, 0, elapsed, ProcessUsage.CpuOf(Environment.ProcessId) - cpu, TimeSpan.Zero, TimeSpan.Zero);
    }

    /// <summary>
    /// Signatures a second of two processes, as openssl counts: by the processor time that they used, not by the clock, so
    /// that others on the machine do not lower it.
    /// </summary>
    public static async Task<Round> SpeedAsync(TimeSpan length, CancellationToken cancellationToken)
    {
        var seconds = Math.Max(1, (int)length.TotalSeconds);
        var printed = await ChildProcess.RunAsync(
            "openssl", ["speed", "-seconds", $"{seconds}", "-multi", "2", "ecdsap256"], cancellationToken);
        // " 256 bits ecdsa (nistp256)   0.0000s   0.0001s  70911.0  24021.0"
        var line = printed.Split('\n').Last(l => l.Contains("(nistp256)", StringComparison.Ordinal));
        var rate = double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture);
        var one = TimeSpan.FromSeconds(1);
        return new Round(OpenSsl, (long)rate, 0, one, one * 2, TimeSpan.Zero, TimeSpan.Zero);
    }
}
