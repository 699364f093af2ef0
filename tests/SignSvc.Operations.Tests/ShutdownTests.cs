using System.Diagnostics;
using System.Net;

namespace SignSvc.Operations.Tests;

public sealed class ShutdownTests
{
    private const int Clients = 16;

    [Fact]
    public async Task Under_load_SIGTERM_fails_no_request_and_ends_within_its_bound()
    {
        await using var service = await ServiceProcess.StartAsync();
        using var busy = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var answered = 0;
        var clients = Enumerable.Range(0, Clients).Select(_ => Task.Run(() => AskUntilToldToGoAsync(service, () => Interlocked.Increment(ref answered)))).ToArray();
        while (Volatile.Read(ref answered) < 500)
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, TestContext.Current.CancellationToken);

        using var stopping = RunningTime.Start();
        var exitCode = await service.StopAsync();
        var took = stopping.Elapsed;
        // Each client ends without a fault, or this throws what it met.
        await Task.WhenAll(clients);

        Assert.Equal(0, exitCode);
        // Shutdown:DrainSeconds and GraceSeconds, by default 15 s; quiet comes far sooner.
        Assert.InRange(took, TimeSpan.Zero, TimeSpan.FromSeconds(15));
        TestContext.Current.SendDiagnosticMessage($"{answered} answers, none lost; ended {took.TotalMilliseconds:F0} ms after SIGTERM");
    }

    [Fact]
    public async Task While_it_drains_it_is_not_ready_and_still_signs()
    {
        await using var service = await ServiceProcess.StartAsync();
        while (true)
        {
            Assert.Equal(200, (await service.Client.GetJsonAsync("/healthz/ready")).Code);
            var ending = service.StopAsync();
            var (wasNotReady, signedMeanwhile, pause) = await AskWhileItDrainsAsync(service);
            Assert.Equal(0, await ending);
            // A node that is asked nothing for a second has drained: a client that was kept from asking has seen nothing.
            if (pause < TimeSpan.FromMilliseconds(900))
            {
                Assert.True(wasNotReady);
                Assert.True(signedMeanwhile);
                return;
            }

            await service.RestartAsync();
        }
    }

    /// <returns>What it saw, and the longest time between two of its requests.</returns>
    private static async Task<(bool WasNotReady, bool SignedMeanwhile, TimeSpan Pause)> AskWhileItDrainsAsync(ServiceProcess service)
    {
        var (wasNotReady, signedMeanwhile, pause, last) = (false, false, TimeSpan.Zero, Stopwatch.GetTimestamp());
        try
        {
            while (!wasNotReady || !signedMeanwhile)
            {
                wasNotReady |= (await AskAsync(service.Client.GetJsonAsync("/healthz/ready"))).Code == 503;
                if (wasNotReady)
                    signedMeanwhile |= (await AskAsync(service.Client.PostJsonAsync("/v1/keys/release/sign", """{"message":"aGk="}"""))).Code == 200;
            }
        }
        catch (HttpRequestException)
        {
            // It has ended.
            Note();
        }

        return (wasNotReady, signedMeanwhile, pause);

        async Task<JsonAnswer> AskAsync(Task<JsonAnswer> call)
        {
            var answer = await call;
            Note();
            return answer;
        }

        void Note() => (pause, last) = (TimeSpan.FromTicks(Math.Max(pause.Ticks, Stopwatch.GetElapsedTime(last).Ticks)), Stopwatch.GetTimestamp());
    }

    /// <summary>As a well-behaved client: it sends until an answer says that the connection is closed.</summary>
    private static async Task AskUntilToldToGoAsync(ServiceProcess service, Action count)
    {
        using var handler = new SocketsHttpHandler { MaxConnectionsPerServer = 1, UseProxy = false };
        using var client = new HttpClient(handler) { BaseAddress = service.Url };
        client.DefaultRequestHeaders.Authorization = new("Bearer", service.AdminToken);
        while (true)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/tokens")
            {
                Content = new StringContent("""{"profile":"default","audience":"a"}""", System.Text.Encoding.UTF8, "application/json"),
            };
            using var answer = await client.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
            count();
            if (answer.Headers.ConnectionClose == true)
                return;
        }
    }
}
