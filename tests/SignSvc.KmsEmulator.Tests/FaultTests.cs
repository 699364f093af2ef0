using System.Net.Http.Json;
using SignSvc.Emulation.Faults;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Tests;

public sealed class FaultTests
{
    [Fact]
    public async Task A_scripted_fault_hits_its_operation_as_often_as_it_says_after_those_it_skips()
    {
        await using var running = await RunningEmulator.StartAsync();
        running.Emulator.Faults.Add(Fault.Throttle("ListKeys") with { Skip = 1, Times = 2 });
        running.Emulator.Faults.Add(
            Fault.Error("ListAliases") with
            {
                Code = "DependencyTimeoutException",
                Status = 503,
            });
        await running.Kms.DoAsync("ListKeys");
        await running.Kms.RefusedAsync("ThrottlingException", "ListKeys");
        await running.Kms.RefusedAsync("ThrottlingException", "ListKeys");
        await running.Kms.DoAsync("ListKeys");
        Assert.Equal(503, (await running.Kms.RefusedAsync("DependencyTimeoutException", "ListAliases")).Status);
        Assert.Equal(new OperationCalls(4, 2, 2, 0), running.Emulator.Calls["ListKeys"]);
    }

    [Fact]
    public async Task A_probable_fault_hits_its_share()
    {
        await using var running = await RunningEmulator.StartAsync();
        running.Emulator.Faults.Add(Fault.Error("ListKeys") with { Probability = 0.3 });
        var failed = 0;
        for (var i = 0; i < 300; i++)
            failed += (await running.Kms.SendAsync("ListKeys")).Error is null ? 0 : 1;
        Assert.InRange(failed, 60, 120);
    }

    [Theory]
    [InlineData("ECC_NIST_P256", "ECDSA_SHA_256")]
    [InlineData("ECC_NIST_P384", "ECDSA_SHA_384")]
    [InlineData("ECC_NIST_P521", "ECDSA_SHA_512")]
    [InlineData("RSA_2048", "RSASSA_PSS_SHA_256")]
    [InlineData("RSA_2048", "RSASSA_PKCS1_V1_5_SHA_512")]
    public async Task A_wrong_signature_has_the_right_form_and_does_not_verify(string spec, string algorithm)
    {
        await using var running = await RunningEmulator.StartAsync();
        var keyId = await running.NewSigningKeyAsync(spec);
        var spki = (await running.Kms.DoAsync("GetPublicKey", new { KeyId = keyId })).Blob("PublicKey");
        var digest = new byte[int.Parse(algorithm[^3..]) / 8];
        var request = new
        {
            KeyId = keyId,
            Message = digest,
            MessageType = "DIGEST",
            SigningAlgorithm = algorithm,
        };
        for (var i = 0; i < 20; i++)
        {
            running.Emulator.Faults.Add(Fault.WrongAnswer("Sign") with { Times = 1 });
            var wrong = (await running.Kms.DoAsync("Sign", request)).Blob("Signature");
            var right = (await running.Kms.DoAsync("Sign", request)).Blob("Signature");
            Assert.False(PublicKeys.Verify(spki, algorithm, digest, wrong));
            Assert.True(PublicKeys.Verify(spki, algorithm, digest, right));
        }
    }

    [Fact]
    public async Task A_key_may_be_created_and_its_answer_lost()
    {
        await using var running = await RunningEmulator.StartAsync();
        running.Emulator.Faults.Add(Fault.Reset("CreateKey") with { AfterExecution = true, Times = 1 });
        await Assert.ThrowsAsync<HttpRequestException>(() => running.Kms.SendAsync("CreateKey"));
        running.Emulator.Faults.Add(Fault.Reset("CreateKey") with { Times = 1 });
        await Assert.ThrowsAsync<HttpRequestException>(() => running.Kms.SendAsync("CreateKey"));
        Assert.Single((await running.Kms.DoAsync("ListKeys")).Body["Keys"]!.AsArray());
    }

    [Fact]
    public async Task A_hanging_request_gets_no_answer_and_is_reset_when_the_script_is_cleared()
    {
        await using var running = await RunningEmulator.StartAsync();
        running.Emulator.Faults.Add(Fault.Hang("ListKeys"));
        var hanging = running.Kms.SendAsync("ListKeys");
        await running.Kms.DoAsync("ListAliases");
        while (running.Emulator.Faults.Struck == 0)
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, TestContext.Current.CancellationToken);
        Assert.False(hanging.IsCompleted);
        running.Emulator.Faults.Clear();
        await Assert.ThrowsAsync<HttpRequestException>(() => hanging);
        await running.Kms.DoAsync("ListKeys");
    }

    [Fact]
    public async Task The_control_endpoint_scripts_faults_quotas_and_settings_and_shows_the_calls()
    {
        await using var running = await RunningEmulator.StartAsync(o => o with { Control = true });
        using var control = new HttpClient { BaseAddress = running.Emulator.Uri };
        var cancellationToken = TestContext.Current.CancellationToken;
        (
            await control.PostAsJsonAsync(
                "/_emulator/faults",
                new
                {
                    kind = "Throttle",
                    operation = "ListKeys",
                    times = 1,
                },
                cancellationToken)).EnsureSuccessStatusCode();
        Assert.False(
            (
                await control.PostAsJsonAsync(
                    "/_emulator/faults",
                    new { kind = "Throttle", operation = "Nonsense" },
                    cancellationToken)).IsSuccessStatusCode);
        await running.Kms.RefusedAsync("ThrottlingException", "ListKeys");
        await running.Kms.DoAsync("ListKeys");
        var calls = await control.GetFromJsonAsync<Dictionary<string, OperationCalls>>(
            "/_emulator/calls",
            cancellationToken);
        Assert.Equal(new OperationCalls(2, 1, 1, 0), calls!["ListKeys"]);

        (
            await control.PutAsync(
                new Uri("/_emulator/quotas/ECC?perSecond=0", UriKind.Relative),
                content: null,
                cancellationToken)).EnsureSuccessStatusCode();
        (
            await control.PatchAsJsonAsync(
                "/_emulator/settings",
                new { quotasEnforced = true, consistencyDelaySeconds = 3 },
                cancellationToken)).EnsureSuccessStatusCode();
        Assert.Equal(TimeSpan.FromSeconds(3), running.Emulator.Settings.ConsistencyDelay);
        Assert.Equal(0, running.Emulator.Quotas.Rates["ECC"]);
        Assert.True(running.Emulator.Quotas.Enforced);
        (
            await control.DeleteAsync(new Uri("/_emulator/faults", UriKind.Relative), cancellationToken)
        ).EnsureSuccessStatusCode();
        (
            await control.DeleteAsync(new Uri("/_emulator/calls", UriKind.Relative), cancellationToken)
        ).EnsureSuccessStatusCode();
        Assert.Equal(0, running.Emulator.Calls.TotalReceived);
    }

    [Fact]
    public async Task Without_permission_there_is_no_control_endpoint()
    {
        await using var running = await RunningEmulator.StartAsync();
        using var control = new HttpClient { BaseAddress = running.Emulator.Uri };
        var reply = await control.GetAsync(
            new Uri("/_emulator/calls", UriKind.Relative),
            TestContext.Current.CancellationToken);
        Assert.False(reply.IsSuccessStatusCode);
    }

    [Fact]
    public void Latency_has_the_median_and_the_percentile_it_is_given()
    {
        var latency = new Latency(TimeSpan.FromMilliseconds(50), TimeSpan.FromMilliseconds(200));
        var random = new Random(7);
        var drawn = Enumerable.Range(0, 20_000).Select(_ => latency.Draw(random).TotalMilliseconds).Order().ToArray();
        Assert.InRange(drawn[10_000], 48, 52);
        Assert.InRange(drawn[19_800], 180, 220);
        Assert.Equal(TimeSpan.Zero, Latency.None.Draw(random));
    }
}
