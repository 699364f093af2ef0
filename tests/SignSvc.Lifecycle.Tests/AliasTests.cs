using System.Collections.Concurrent;

namespace SignSvc.Lifecycle.Tests;

public sealed class AliasTests(RunningService service)
{
    private HttpClient Admin => service.Admin;

    [Fact]
    public async Task An_alias_with_a_slash_is_written_both_ways()
    {
        var name = await Admin.NewArtifactsKeyAsync();
        var alias = $"prod/{RunningService.NewName("app")}";
        var encoded = Uri.EscapeDataString(alias);
        Assert.Equal(alias, (await Admin.PutAliasAsync(encoded, name).MustAsync(200))["alias"]);
        Assert.Equal(name, (await Admin.GetJsonAsync($"/v1/aliases/{alias}").MustAsync(200))["key"]);
        Assert.Equal(name, (await Admin.GetJsonAsync($"/v1/aliases/{encoded}").MustAsync(200))["key"]);
        Assert.Equal(name, (await Admin.ReadKeyAsync(encoded))["name"]);
        await Admin.SignAsync(encoded).MustAsync(200);
        Assert.Contains(alias, (await Admin.GetJsonAsync("/v1/aliases").MustAsync(200)).Text, StringComparison.Ordinal);
        await Admin.CallAsync(HttpMethod.Delete, $"/v1/aliases/{encoded}", "").MustAsync(204);
        await Admin.SignAsync(encoded).MustAsync(404);
        await Admin.CallAsync(HttpMethod.Delete, $"/v1/aliases/{alias}", "").MustAsync(404);
    }

    [Theory]
    [InlineData("Upper")]
    [InlineData("a//b")]
    [InlineData("a/")]
    [InlineData("-a")]
    [InlineData("a%20b")]
    [InlineData("0191e1b0-1111-7111-8111-000000000000")]
    public async Task A_name_that_no_alias_may_have_is_refused(string alias) =>
        await Admin.PutAliasAsync(alias, "release").MustAsync(400, "invalid-request");

    [Fact]
    public async Task A_keys_own_name_and_id_are_no_aliases()
    {
        var name = await Admin.NewArtifactsKeyAsync();
        var id = (await Admin.ReadKeyAsync(name))["id"];
        await Admin.PutAliasAsync("release", name).MustAsync(409, "name-taken");
        await Admin.GetJsonAsync($"/v1/aliases/{name}").MustAsync(404);
        await Admin.GetJsonAsync($"/v1/aliases/{id}").MustAsync(404);
        await Admin.CallAsync(HttpMethod.Delete, $"/v1/aliases/{name}", "").MustAsync(404);
        await Admin.PutAliasAsync("some-alias", "no-such-key").MustAsync(404);
    }

    [Fact]
    public async Task A_key_has_fifty_aliases_and_each_may_be_put_again()
    {
        var name = await Admin.NewArtifactsKeyAsync();
        var alias = RunningService.NewName("many");
        for (var i = 0; i < 50; i++)
            await Admin.PutAliasAsync($"{alias}/{i}", name).MustAsync(200);
        await Admin.PutAliasAsync($"{alias}/50", name).MustAsync(400, "invalid-request");
        await Admin.PutAliasAsync($"{alias}/0", name).MustAsync(200);
    }

    [Fact]
    public async Task While_an_alias_moves_every_request_by_it_is_served_by_one_of_the_two()
    {
        var keys = new[] { await Admin.NewArtifactsKeyAsync(), await Admin.NewArtifactsKeyAsync() };
        var ids = new[] { (await Admin.ReadKeyAsync(keys[0]))["id"], (await Admin.ReadKeyAsync(keys[1]))["id"] };
        var alias = RunningService.NewName("moving");
        await Admin.PutAliasAsync(alias, keys[0]).MustAsync(200);
        using var end = new CancellationTokenSource();
        var seen = new ConcurrentDictionary<string, bool>(StringComparer.Ordinal);
        var signers = Enumerable.Range(0, 4).Select(async _ =>
        {
            while (!end.IsCancellationRequested)
                seen.TryAdd((await Admin.SignAsync(alias).MustAsync(200))["keyId"], true);
        }).ToArray();
        // Two movers: they meet each other's changes, and none of them fails either.
        await Task.WhenAll(Enumerable.Range(0, 2).Select(async mover =>
        {
            for (var i = 0; i < 40; i++)
                await Admin.PutAliasAsync(alias, keys[(i + mover) % 2]).MustAsync(200);
        }));
        // Which of the two a signer met in all that is luck; where the alias stands still there is none.
        for (var i = 0; i < keys.Length; i++)
        {
            await Admin.PutAliasAsync(alias, keys[i]).MustAsync(200);
            while (!seen.ContainsKey(ids[i]) && !signers.Any(s => s.IsCompleted))
                await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, TestContext.Current.CancellationToken);
        }

        await end.CancelAsync();
        await Task.WhenAll(signers);
        Assert.Equal(ids.Order(StringComparer.Ordinal), seen.Keys.Order(StringComparer.Ordinal));
    }
}
