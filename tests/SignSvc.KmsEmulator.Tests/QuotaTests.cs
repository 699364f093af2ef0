using SignSvc.Emulation.Quotas;
using SignSvc.Tests.Shared;

namespace SignSvc.Emulation.Tests;

public sealed class QuotaTests
{
    [Theory]
    [InlineData(200)]
    [InlineData(100)]
    public void Three_times_the_quota_offered_gives_the_quota_and_no_more(int perSecond)
    {
        const int Seconds = 30;
        var clock = new ManualClock();
        var quotas = new RequestQuotas(clock);
        quotas.Set(QuotaFamily.Rsa, perSecond);
        var passed = 0;
        for (var i = 0; i < 3 * perSecond * Seconds; i++)
        {
            clock.Advance(TimeSpan.FromSeconds(1.0 / (3 * perSecond)));
            if (quotas.TryTake("111111111111", "us-east-1", QuotaFamily.Rsa))
                passed++;
        }

        // The bucket starts with one second's worth.
        Assert.InRange(passed, 0.99 * perSecond * Seconds, (perSecond * (Seconds + 1)) + 1);
    }

    [Fact]
    public void A_quota_changed_while_requests_run_holds_from_then_on()
    {
        var clock = new ManualClock();
        var quotas = new RequestQuotas(clock);
        quotas.Set(QuotaFamily.Ecc, 200);
        Assert.Equal(200, Takes(quotas, 1000));
        quotas.Set(QuotaFamily.Ecc, 100);
        clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(100, Takes(quotas, 1000));
        quotas.Set(QuotaFamily.Ecc, 0);
        clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(0, Takes(quotas, 10));
    }

    [Fact]
    public void Accounts_regions_and_families_have_buckets_of_their_own()
    {
        var quotas = new RequestQuotas(new ManualClock());
        quotas.Set(QuotaFamily.Ecc, 1);
        Assert.True(quotas.TryTake("1", "a", QuotaFamily.Ecc));
        Assert.False(quotas.TryTake("1", "a", QuotaFamily.Ecc));
        Assert.True(quotas.TryTake("2", "a", QuotaFamily.Ecc));
        Assert.True(quotas.TryTake("1", "b", QuotaFamily.Ecc));
        Assert.True(quotas.TryTake("1", "a", QuotaFamily.Rsa));
        Assert.Throws<ArgumentException>(() => quotas.Set("Nonsense", 1));
    }

    [Fact]
    public async Task Sign_and_Verify_share_the_quota_of_the_key_s_family_and_are_throttled_as_AWS_does()
    {
        var requestClock = new FrozenClock();
        await using var running = await RunningEmulator.StartAsync(o => o with { RequestClock = requestClock });
        var ecc = await running.NewSigningKeyAsync();
        var rsa = await running.NewSigningKeyAsync("RSA_2048");
        running.Emulator.Quotas.Set(QuotaFamily.Ecc, 2);
        running.Emulator.Quotas.Enforced = true;
        var signature = (
            await running.Kms.DoAsync(
                "Sign",
                new
                {
                    KeyId = ecc,
                    Message = new byte[1],
                    SigningAlgorithm = "ECDSA_SHA_256",
                })).Text("Signature");
        var verify = new
        {
            KeyId = ecc,
            Message = new byte[1],
            Signature = signature,
            SigningAlgorithm = "ECDSA_SHA_256",
        };
        await running.Kms.DoAsync("Verify", verify);

        var throttled = await running.Kms.RefusedAsync("ThrottlingException", "Verify", verify);
        Assert.Equal(400, throttled.Status);
        Assert.True(throttled.Headers.Contains("x-amzn-RequestId"));
        await running.Kms.DoAsync(
            "Sign",
            new
            {
                KeyId = rsa,
                Message = new byte[1],
                SigningAlgorithm = "RSASSA_PSS_SHA_256",
            });
        Assert.Equal(1, running.Emulator.Calls["Verify"].Throttled);
    }

    [Fact]
    public async Task Over_the_wire_the_goodput_at_three_times_the_quota_is_the_quota()
    {
        const int Quota = 100;
        await using var running = await RunningEmulator.StartAsync();
        var keyId = await running.NewSigningKeyAsync();
        running.Emulator.Quotas.Set(QuotaFamily.Ecc, Quota);
        running.Emulator.Quotas.Enforced = true;
        var cancellationToken = TestContext.Current.CancellationToken;
        using var ran = RunningTime.Start();
        var started = TimeProvider.System.GetTimestamp();
        var passed = 0;
        var offered = 0;
        await Task.WhenAll(
            Enumerable
                .Range(0, 16)
                .Select(async worker =>
                {
                    // Each of 16 workers offers 300/16 requests a second for 4 seconds, on a fixed timetable.
                    for (var i = 0; i < 75; i++)
                    {
                        var due =
                            TimeSpan.FromSeconds(((i * 16) + worker) / (3.0 * Quota))
                            - TimeProvider.System.GetElapsedTime(started);
                        if (due > TimeSpan.Zero)
                            await Task.Delay(due, TimeProvider.System, cancellationToken);
                        var reply = await running.Kms.SendAsync(
                            "Sign",
                            new
                            {
                                KeyId = keyId,
                                Message = new byte[1],
                                SigningAlgorithm = "ECDSA_SHA_256",
                            });
                        Interlocked.Increment(ref offered);
                        if (reply.Error is null)
                            Interlocked.Increment(ref passed);
                        else
                            Assert.Equal("ThrottlingException", reply.Error);
                    }
                }));

        // One second's worth of burst on top of the quota for as long as it took. Where this process stood still, nothing was
        // offered either.
        var seconds = TimeProvider.System.GetElapsedTime(started).TotalSeconds;
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"offered {offered} in {seconds:F2} s, of which it ran {ran.Elapsed.TotalSeconds:F2}, at quota {Quota}/s: {passed} passed");
        Assert.InRange(passed, 0.95 * Quota * Math.Min(ran.Elapsed.TotalSeconds, 4), (Quota * (seconds + 1)) + 1);
    }

    private static int Takes(RequestQuotas quotas, int tries) =>
        Enumerable.Range(0, tries).Count(_ => quotas.TryTake("111111111111", "us-east-1", QuotaFamily.Ecc));

    /// <summary>The wall clock for signature dates; no time passes for the buckets.</summary>
    private sealed class FrozenClock : TimeProvider
    {
        public override long GetTimestamp() => 0;
    }
}
