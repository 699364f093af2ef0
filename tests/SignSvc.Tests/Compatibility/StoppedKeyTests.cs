namespace SignSvc.Tests.Compatibility;

/// <summary>A key that was stopped, as those see it who verify what it signed.</summary>
public sealed class StoppedKeyTests(RunningService service)
{
    [Fact]
    public async Task It_shows_the_public_key_that_it_signed_with_and_not_that_of_its_announced_successor()
    {
        var name = RunningService.NewName("stopped");
        await service.Admin.MustPostAsync(
            201, "/v1/keys", $$$"""{"name":"{{{name}}}","purpose":"artifacts","spec":"ECC_NIST_P256","rotation":{"leadSeconds":3600}}""");
        var signing = (await service.Admin.MustGetAsync($"/v1/keys/{name}/public-key")).Text;
        await service.Admin.MustPostAsync(200, $"/v1/keys/{name}/rotate");
        Assert.NotEqual(signing, (await service.Admin.MustGetAsync($"/v1/keys/{name}/public-key?version=2")).Text, StringComparer.Ordinal);
        await service.Admin.MustPostAsync(200, $"/v1/keys/{name}/disable");

        Assert.Equal(signing, (await service.Admin.MustGetAsync($"/v1/keys/{name}/public-key")).Text);
        var aws = await AwsClient.OfAsync(service, "signer");
        var shown = await aws.MustAsync("GetPublicKey", $$"""{"KeyId":"alias/{{name}}"}""");
        Assert.Contains(shown.GetProperty("PublicKey").GetString()!, signing.ReplaceLineEndings(""), StringComparison.Ordinal);
        var transit = (await service.Admin.MustGetAsync($"/v1/transit/keys/{name}")).Json.GetProperty("data");
        Assert.Equal(1, transit.GetProperty("latest_version").GetInt32());
        Assert.Equal(signing, transit.GetProperty("keys").GetProperty("1").GetProperty("public_key").GetString());
    }
}
