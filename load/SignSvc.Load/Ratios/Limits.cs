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
    public const string OpenSslByCpu = "openssl speed ecdsap256, two at once, by their CPU";

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

    /// <exception cref="MissingToolException">There is no openssl.</exception>
    public static Task RequireOpenSslAsync(CancellationToken cancellationToken) => ChildProcess.RunAsync("openssl", ["version"], cancellationToken);

    /// <summary>Signatures a second of two processes, as openssl counts them where there are several: by the clock.</summary>
    public static async Task<Round> SpeedAsync(TimeSpan length, CancellationToken cancellationToken) =>
        Counted(OpenSsl, await RunSpeedAsync(length, cancellationToken, "-multi", "2"), TimeSpan.Zero);

    /// <summary>
    /// The same two processes, started apart: then openssl counts by the processor time that each used, and others on the
    /// machine do not lower it.
    /// </summary>
    public static async Task<Round> SpeedByCpuAsync(TimeSpan length, CancellationToken cancellationToken)
    {
        var rates = await Task.WhenAll(RunSpeedAsync(length, cancellationToken), RunSpeedAsync(length, cancellationToken));
        return Counted(OpenSslByCpu, rates.Sum(), TimeSpan.FromSeconds(rates.Length));
    }

    private static Round Counted(string subject, double perSecond, TimeSpan cpu) =>
        new(subject, (long)perSecond, 0, TimeSpan.FromSeconds(1), cpu, TimeSpan.Zero, TimeSpan.Zero);

    private static async Task<double> RunSpeedAsync(TimeSpan length, CancellationToken cancellationToken, params string[] more)
    {
        var seconds = Math.Max(1, (int)length.TotalSeconds);
        var printed = await ChildProcess.RunAsync("openssl", ["speed", "-seconds", $"{seconds}", .. more, "ecdsap256"], cancellationToken);
        // " 256 bits ecdsa (nistp256)   0.0000s   0.0001s  70911.0  24021.0"
        var line = printed.Split('\n').Last(l => l.Contains("(nistp256)", StringComparison.Ordinal));
        return double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture);
    }
}
