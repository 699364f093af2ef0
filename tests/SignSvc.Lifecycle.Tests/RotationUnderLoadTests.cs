using System.Collections.Concurrent;

namespace SignSvc.Lifecycle.Tests;

/// <summary>
/// Twenty rotations while tokens are issued and verified without pause, by jose and by Microsoft.IdentityModel as they
/// are. The default lead of 24 hours is 4 seconds here, so one second stands for six hours. On that scale
/// Microsoft.IdentityModel's 12 hours are 2 seconds, as here. jose's 10 minutes would be 28 milliseconds and its cooldown
/// 1.4: here they are 2 seconds each, seventy times worse for the service, so that its reading on an unknown kid never
/// hides a lead that is too short.
/// </summary>
public sealed class RotationUnderLoadTests
{
    private const int Rotations = 20;
    private static readonly TimeSpan Refresh = TimeSpan.FromSeconds(2);

    [Fact]
    public async Task Twenty_rotations_fail_no_verification_by_jose_or_IdentityModel_with_cached_key_sets()
    {
        await using var service = await ServiceProcess.StartAsync();
        var admin = service.Client;
        var name = await admin.NewTokensKeyAsync(""","rotation":{"leadSeconds":4}""");
        await using var jose = JoseVerifier.Start(new Uri(service.Url, "/.well-known/jwks.json"), Refresh);
        using var identityModel = new IdentityModelVerifier(service.Url, Refresh);
        using var end = new CancellationTokenSource();
        var failures = new ConcurrentBag<string>();
        var kids = new ConcurrentDictionary<string, string>(StringComparer.Ordinal);
        var verified = 0;

        var callers = Enumerable.Range(0, 2).Select(async _ =>
        {
            while (!end.IsCancellationRequested)
            {
                var issued = await admin.IssueAsync(name).MustAsync(201);
                kids.TryAdd(issued["kid"], issued["token"]);
                // The new one, and one of those that live still: from the version before, and the one before that.
                foreach (var token in kids.Values.TakeLast(3).Append(issued["token"]))
                {
                    foreach (var refusal in await Task.WhenAll(jose.VerifyAsync(token), identityModel.VerifyAsync(token)))
                    {
                        if (refusal is not null)
                            failures.Add($"{issued["kid"]} at {TimeProvider.System.GetUtcNow():O}: {refusal}");
                        Interlocked.Increment(ref verified);
                    }
                }
            }
        }).ToArray();

        for (var version = 2; version <= Rotations + 1; version++)
        {
            await admin.DoAsync(name, "rotate").MustAsync(200);
            while ((await admin.ReadKeyAsync(name)).States()[version - 1] is not "active")
                await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, TestContext.Current.CancellationToken);
            // Every version signs before the next is asked for, the last one too.
            while (kids.Count < version && !callers.Any(c => c.IsFaulted))
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, TestContext.Current.CancellationToken);
        }

        await end.CancelAsync();
        await Task.WhenAll(callers);
        var (joseReads, identityModelReads) = (await jose.ReadsAsync(), identityModel.Reads);
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{Rotations} rotations, {kids.Count} kids signed, {verified} verifications, {failures.Count} failed, "
            + $"key set read {joseReads} times by jose and {identityModelReads} times by IdentityModel");
        Assert.Empty(failures);
        Assert.True(kids.Count > Rotations, $"Only {kids.Count} versions signed: the rotations were not under load.");
        Assert.InRange(joseReads, 2, verified / 8);
        Assert.InRange(identityModelReads, 2, verified / 8);
        // They do refuse.
        Assert.NotNull(await jose.VerifyAsync(kids.Values.First()[..^4] + "AAAA"));
        Assert.NotNull(await identityModel.VerifyAsync(kids.Values.First()[..^4] + "AAAA"));
    }
}
