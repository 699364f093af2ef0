using System.Diagnostics;
using System.Net;
using SignSvc.Load.Calls;
using SignSvc.Load.Measuring;

namespace SignSvc.Load.Ratios;

/// <summary>One round of one subject.</summary>
/// <param name="Operations">Signatures, or answers where nothing is signed.</param>
/// <param name="Cpu">Of the process that does them, as the kernel accounts it.</param>
public sealed record Round(string Subject, long Operations, long Failures, TimeSpan Elapsed, TimeSpan Cpu, TimeSpan P50, TimeSpan P99)
{
    public double PerSecond => Operations / Elapsed.TotalSeconds;

    public double CpuMicroseconds => Cpu.TotalMicroseconds / Math.Max(1, Operations);
}

/// <summary>
/// Callers that each wait for their answer before they ask again: it finds what the server can do, and says nothing of how
/// long those wait who do not wait for each other. Requests are encoded once; the driver does little but move bytes.
/// </summary>
/// <param name="signaturesEach">Of a batch of tokens: an answer with fewer, whose other items have problems, is a failure.</param>
internal sealed class ClosedLoop(string subject, Uri target, int serverProcess, IReadOnlyList<Call> calls, int connections, int signaturesEach = 1)
{
    /// <summary>New connections and cold caches are not what is measured.</summary>
    private static readonly TimeSpan Settling = TimeSpan.FromMilliseconds(300);

    private readonly byte[][] _requests = [.. calls.Select(c => Http1Connection.Encode(c, target.Authority))];

    public string Subject => subject;

    /// <exception cref="TargetLostException">It does not answer, or went away.</exception>
    public async Task<Round> RunAsync(TimeSpan length, CancellationToken cancellationToken)
    {
        try
        {
            return await MeasureAsync(length, cancellationToken);
        }
        catch (Exception e) when (NoAnswer.Is(e))
        {
            throw new TargetLostException($"{subject}: {target} does not answer: {e.Message}", e);
        }
    }

    private async Task<Round> MeasureAsync(TimeSpan length, CancellationToken cancellationToken)
    {
        var pool = await Task.WhenAll(Enumerable.Range(0, connections).Select(async _ => await Http1Connection.OpenAsync(new DnsEndPoint(target.Host, target.Port), cancellationToken)));
        try
        {
            await CallAsync(pool, Settling, cancellationToken);
            var cpu = ProcessUsage.CpuOf(serverProcess);
            var started = Stopwatch.GetTimestamp();
            var (latency, failures) = await CallAsync(pool, length, cancellationToken);
            var elapsed = Stopwatch.GetElapsedTime(started);
            return new Round(
                subject, latency.Count * signaturesEach, failures, elapsed, ProcessUsage.CpuOf(serverProcess) - cpu, latency.Percentile(50), latency.Percentile(99));
        }
        finally
        {
            Array.ForEach(pool, c => c.Dispose());
        }
    }

    private async Task<(Histogram Latency, long Failures)> CallAsync(Http1Connection[] pool, TimeSpan length, CancellationToken cancellationToken)
    {
        var latency = new Histogram();
        var failures = 0L;
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(pool.Select(async (connection, i) =>
        {
            for (var turn = i; Stopwatch.GetElapsedTime(started) < length; turn++)
            {
                var sent = Stopwatch.GetTimestamp();
                var answer = await connection.SendAsync(_requests[turn % _requests.Length], keepsBody: signaturesEach > 1, cancellationToken);
                if (answer.Status is >= 200 and < 300 && (signaturesEach == 1 || answer.Tokens == signaturesEach))
                    latency.Record(Stopwatch.GetElapsedTime(sent));
                else
                    Interlocked.Increment(ref failures);
            }
        }));
        return (latency, failures);
    }
}
