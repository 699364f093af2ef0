using System.Collections.Concurrent;
using System.Security.Cryptography;
using Amazon.KeyManagementService;
using Amazon.Runtime;
using SignSvc.Backends.AwsKms.Keys;
using SignSvc.Backends.AwsKms.Tests.Budgets;
using SignSvc.Emulation.Faults;
using SignSvc.Emulation.Quotas;
using SignSvc.Emulation.Wire;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Keys;
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

    private static readonly Latency Usual = new(TimeSpan.FromMilliseconds(15), TimeSpan.FromMilliseconds(60));

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public void Offered_three_times_the_quota_the_quota_is_used_and_nobody_sees_a_throttle() =>
        AssertHolds(Simulate("simulated, steady quota", TimeSpan.FromSeconds(8), halves: false));

    [Fact]
    public void A_quota_that_halves_is_found_and_used() =>
        AssertHolds(Simulate("simulated, quota halves", TimeSpan.FromSeconds(12), halves: true));

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

    private static void AssertHolds(Figures figures)
    {
        Assert.Equal(0, figures.Throttled);
        Assert.Equal(0, figures.Refused);
        Assert.True(figures.Percentile99 <= TimeSpan.FromSeconds(5), $"{figures}");
        Assert.True(figures.TriesPerCall <= 3, $"{figures}");
        Assert.True(figures.ShareOfQuota >= 0.95, $"{figures}");
    }

    /// <summary>The emulator's quota and latency without its wire, under a clock that only moves when nothing is left to do.</summary>
    private Figures Simulate(string name, TimeSpan time, bool halves)
    {
        var simulated = new SimulatedTime();
        var (quotas, random) = (new RequestQuotas(simulated.Clock), new Random(24));
        quotas.Set(QuotaFamily.Ecc, Quota);
        var calls = OperationCalls.None;
        var inner = new ScriptedBackend
        {
            Answer = async (_, _, cancel) =>
            {
                calls = calls with { Received = calls.Received + 1 };
                await Task.Delay(Usual.Draw(random), simulated.Clock, cancel);
                if (quotas.TryTake(EmulatedKms.Account, "eu-central-1", QuotaFamily.Ecc))
                    return;
                calls = calls with { Throttled = calls.Throttled + 1 };
                throw new SigningException(
                    SigningFault.Overloaded, "throttled", new AmazonServiceException("throttled") { ErrorCode = "ThrottlingException" });
            },
        };
        var options = new AwsKmsOptions { Region = "eu-central-1", Installation = "test" };
        options.QuotaPerSecond["ECC"] = Quota;
        using var backend = new BudgetedBackend(inner, options.ToBudgets(), simulated.Clock);
        using var pair = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var key = ActiveVersion.Of(new BackendKeyPair("handle", PublicKey.FromSpki(pair.ExportSubjectPublicKeyInfo()), Protection.Kms));
        return simulated.Run(() => OfferAsync(
            name, simulated.Clock, async digest => await backend.SignAsync(key, SigningAlgorithm.ES256, digest, Cancel),
            quota => quotas.Set(QuotaFamily.Ecc, quota), () => calls, time, halves));
    }

    private async Task<Figures> MeasureAsync(string name, Func<EmulatedKms, Task<Caller>> open, TimeSpan time, bool halves)
    {
        await using var kms = await EmulatedKms.StartAsync();
        var caller = await open(kms);
        await using var closing = caller.Close;
        kms.Emulator.Latency = Usual;
        kms.Emulator.Quotas.Set(QuotaFamily.Ecc, Quota);
        kms.Emulator.Quotas.Enforced = true;
        kms.Emulator.Calls.Reset();
        return await Task.Run(
            () => OfferAsync(
                name, TimeProvider.System, caller.SignAsync, quota => kms.Emulator.Quotas.Set(QuotaFamily.Ecc, quota),
                () => kms.Emulator.Calls["Sign"], time, halves),
            Cancel);
    }

    private async Task<Figures> OfferAsync(
        string name, TimeProvider clock, Func<byte[], Task> sign, Action<double> setQuota, Func<OperationCalls> callsNow, TimeSpan time, bool halves)
    {
        var latencies = new ConcurrentBag<TimeSpan>();
        var (done, throttled, refused) = (0, 0, 0);
        var start = clock.GetTimestamp();
        var halving = halves ? HalveAsync() : Task.CompletedTask;
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(CallAsync));
        await halving;
        var elapsed = Elapsed();

        var calls = callsNow();
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
            await Task.Delay(time / 2, clock, Cancel);
            setQuota(Quota / 2);
        }

        TimeSpan Elapsed() => clock.GetElapsedTime(start);

        // Each caller keeps to its timetable, and is late where an answer is.
        async Task CallAsync(int number)
        {
            for (var n = 0; ; n++)
            {
                var due = TimeSpan.FromSeconds((n + (number / (double)Callers)) * Callers / Offered);
                if (due >= time)
                    return;
                if (due - Elapsed() is { } early && early > TimeSpan.Zero)
                    await Task.Delay(early, clock, Cancel);
                if (Elapsed() >= time)
                    return;
                var from = Elapsed();
                try
                {
                    await sign(RandomNumberGenerator.GetBytes(32));
                    latencies.Add(Elapsed() - from);
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
