using System.Text.Json;

namespace SignSvc.Lifecycle.Tests;

public sealed class RestartTests
{
    [Fact]
    public async Task A_restart_keeps_every_state()
    {
        await using var service = await ServiceProcess.StartAsync();
        var admin = service.Client;
        var enabled = await admin.NewArtifactsKeyAsync(""","rotation":{"leadSeconds":0}""");
        var signature = (await admin.SignAsync(enabled).MustAsync(200))["signature"];
        await admin.DoAsync(enabled, "rotate").MustAsync(200);
        await admin.RevokeAsync(enabled, 2).MustAsync(200);
        await admin.PatchAsync(enabled, """{"rotation":{"leadSeconds":3600},"tags":{"a":"b"},"minSigningVersion":2}""").MustAsync(200);
        await admin.DoAsync(enabled, "rotate").MustAsync(200);
        var disabled = await admin.NewArtifactsKeyAsync();
        await admin.DoAsync(disabled, "disable").MustAsync(200);
        var pending = await admin.NewArtifactsKeyAsync();
        await admin.DeleteKeyAsync(pending, 7).MustAsync(200);
        await admin.PutAliasAsync("prod/app", enabled).MustAsync(200);
        var tokens = await admin.NewTokensKeyAsync(""","rotation":{"leadSeconds":3600}""");
        await admin.DoAsync(tokens, "rotate").MustAsync(200);

        string[] addresses = [.. new[] { enabled, disabled, pending, tokens }.Select(n => $"/v1/keys/{n}"), "/v1/aliases", "/.well-known/jwks.json"];
        var before = await ReadAsync(admin, addresses);
        await service.RestartAsync();
        Assert.Equal(before, await ReadAsync(service.Client, addresses));

        admin = service.Client;
        Assert.Equal("True", (await admin.VerifyAsync("prod%2Fapp", signature))["valid"]);
        Assert.Equal("3", (await admin.SignAsync("prod%2Fapp").MustAsync(200))["version"]);
        await admin.SignAsync(disabled).MustAsync(409, "key-not-usable");
        await admin.SignAsync(pending).MustAsync(409, "key-not-usable");
        Assert.Equal("disabled", (await admin.DoAsync(pending, "cancel-deletion").MustAsync(200))["state"]);
    }

    [Fact]
    public async Task After_kill_9_the_uses_are_those_on_record()
    {
        await using var service = await ServiceProcess.StartAsync();
        var name = await service.Client.NewArtifactsKeyAsync();
        var client = service.Client;
        int answered = 0, asked = 0;
        var many = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var signers = Enumerable.Range(0, 8).Select(async _ =>
        {
            try
            {
                while (true)
                {
                    Interlocked.Increment(ref asked);
                    await client.SignAsync(name).MustAsync(200);
                    if (Interlocked.Increment(ref answered) == 300)
                        many.SetResult();
                }
            }
            catch (HttpRequestException)
            {
                // The service is dead.
            }
        }).ToArray();
        await many.Task.WaitAsync(TestContext.Current.CancellationToken);
        await service.KillAsync();
        await Task.WhenAll(signers);
        await service.RestartAsync();

        var version = (await service.Client.GetJsonAsync($"/v1/keys/{name}/versions").MustAsync(200)).Version(1);
        var uses = version.GetProperty("uses").GetInt32();
        Assert.InRange(uses, answered, asked);
        var records = await ReadSignaturesAsync(service.Client, name);
        Assert.Equal(records.Count, uses);
        Assert.Equal(records.Max(r => KeyTests.Time(r, "at")), KeyTests.Time(version, "lastUsedAt"));
    }

    private static async Task<List<JsonElement>> ReadSignaturesAsync(HttpClient client, string key)
    {
        var records = new List<JsonElement>();
        var after = "";
        do
        {
            var page = await client.GetJsonAsync($"/v1/audit?key={key}&action=keys:Sign&outcome=allowed&limit=100{after}").MustAsync(200);
            records.AddRange(page.Json.GetProperty("records").EnumerateArray());
            after = page.Json.TryGetProperty("next", out var next) && next.ValueKind == JsonValueKind.String ? $"&after={Uri.EscapeDataString(next.GetString()!)}" : "";
        }
        while (after.Length > 0);
        return records;
    }

    private static async Task<string[]> ReadAsync(HttpClient client, string[] addresses)
    {
        var texts = new List<string>();
        foreach (var address in addresses)
            texts.Add((await client.GetJsonAsync(address).MustAsync(200)).Text);
        return [.. texts];
    }
}
