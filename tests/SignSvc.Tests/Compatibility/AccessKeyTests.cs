using System.Text;

namespace SignSvc.Tests.Compatibility;

/// <summary>Access keys of service credentials: shown once, kept wrapped, gone with their credential.</summary>
public sealed class AccessKeyTests(RunningService service)
{
    private const string Describe = """{"KeyId":"alias/release"}""";

    [Fact]
    public async Task An_access_key_has_AWSs_form_and_its_secret_is_shown_once()
    {
        var credential = (await service.NewCredentialAsync("signer"))["name"];
        var made = await service.Admin.MustPostAsync(201, $"/v1/credentials/{credential}/access-keys");
        Assert.Matches("^SSV[A-Z2-7]{17}$", made["accessKeyId"]);
        Assert.Matches("^[A-Za-z0-9_-]{40}$", made["secretAccessKey"]);
        Assert.True(made.Headers.CacheControl?.NoStore);

        var listed = await service.Admin.MustGetAsync($"/v1/credentials/{credential}/access-keys");
        Assert.Equal(made["accessKeyId"], listed.Json.GetProperty("accessKeys").EnumerateArray().Single().GetProperty("accessKeyId").GetString());
        var credentials = await service.Admin.MustGetAsync("/v1/credentials");
        foreach (var shown in new[] { listed.Text, credentials.Text })
        {
            Assert.DoesNotContain("secretAccessKey", shown, StringComparison.Ordinal);
            Assert.DoesNotContain(made["secretAccessKey"], shown, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_credential_has_two_access_keys_at_the_most()
    {
        var credential = (await service.NewCredentialAsync("signer"))["name"];
        var first = await service.Admin.MustPostAsync(201, $"/v1/credentials/{credential}/access-keys");
        await service.Admin.MustPostAsync(201, $"/v1/credentials/{credential}/access-keys");
        (await service.Admin.PostJsonAsync($"/v1/credentials/{credential}/access-keys")).MustBeProblem(400, "invalid-request");
        var deleted = await service.Admin.CallAsync(HttpMethod.Delete, $"/v1/credentials/{credential}/access-keys/{first["accessKeyId"]}", "");
        Assert.Equal(204, deleted.Code);
        await service.Admin.MustPostAsync(201, $"/v1/credentials/{credential}/access-keys");
    }

    [Fact]
    public async Task A_deleted_access_key_and_those_of_a_revoked_or_expired_credential_are_refused_at_once()
    {
        var deleted = await AwsClient.OfAsync(service, "signer");
        await deleted.MustAsync("DescribeKey", Describe);
        await service.Admin.CallAsync(HttpMethod.Delete, $"/v1/credentials/{deleted.Credential}/access-keys/{deleted.AccessKeyId}", "");
        await deleted.MustRefuseAsync("UnrecognizedClientException", "DescribeKey", Describe);

        var revoked = await AwsClient.OfAsync(service, "signer");
        await revoked.MustAsync("DescribeKey", Describe);
        await service.Admin.MustPostAsync(200, $"/v1/credentials/{revoked.Credential}/revoke");
        await revoked.MustRefuseAsync("UnrecognizedClientException", "DescribeKey", Describe);
        (await service.Admin.PostJsonAsync($"/v1/credentials/{revoked.Credential}/access-keys")).MustBeProblem(400, "invalid-request");
    }

    [Fact]
    public async Task An_access_key_may_be_used_from_where_its_credential_may_be()
    {
        var name = RunningService.NewName("elsewhere");
        await service.Admin.MustPostAsync(201, "/v1/credentials", $$"""{"name":"{{name}}","roles":["signer"],"addresses":["10.0.0.0/8"]}""");
        var made = await service.Admin.MustPostAsync(201, $"/v1/credentials/{name}/access-keys");
        var aws = new AwsClient(service.Process.As(null), made["accessKeyId"], made["secretAccessKey"]);
        await aws.MustRefuseAsync("UnrecognizedClientException", "DescribeKey", Describe);
    }

    [Fact]
    public async Task Nobody_makes_an_access_key_of_a_credential_that_may_do_more_than_he()
    {
        var maker = await service.NewCredentialAsync("signer");
        await service.Admin.MustPutAsync(200, $"/v1/policies/{RunningService.NewName("makers")}", $$"""
            {"statements":[{"effect":"allow","principals":["credential:{{maker["name"]}}"],"actions":["credentials:Create"],"resources":["*"]}]}
            """);
        var client = service.Process.As(maker["token"]);
        (await client.PostJsonAsync("/v1/credentials/bootstrap/access-keys")).MustBeProblem(403, "forbidden");

        var other = (await service.NewCredentialAsync("signer"))["name"];
        await client.MustPostAsync(201, $"/v1/credentials/{other}/access-keys");
        var key = RunningService.NewName("guarded");
        await service.Admin.MustPostAsync(201, "/v1/keys", $$"""{"name":"{{key}}","purpose":"artifacts","spec":"ECC_NIST_P256"}""");
        await service.Admin.MustPutAsync(200, $"/v1/keys/{key}/policy", $$"""
            {"statements":[{"effect":"allow","principals":["credential:{{other}}"],"actions":["keys:Disable"]}]}
            """);
        (await client.PostJsonAsync($"/v1/credentials/{other}/access-keys")).MustBeProblem(403, "forbidden");
    }

    [Fact]
    public async Task A_signed_request_counts_as_a_use_of_its_credential()
    {
        var aws = await AwsClient.OfAsync(service, "signer");
        await aws.MustAsync("DescribeKey", Describe);
        var listed = (await service.Admin.MustGetAsync("/v1/credentials")).Json.GetProperty("credentials").EnumerateArray()
            .Single(c => string.Equals(c.GetProperty("name").GetString(), aws.Credential, StringComparison.Ordinal));
        Assert.True(listed.TryGetProperty("lastUsedAt", out _));
    }

    [Fact]
    public async Task Only_administrators_make_and_delete_access_keys()
    {
        var credential = (await service.NewCredentialAsync("signer"))["name"];
        foreach (var role in (string[])["operator", "signer", "auditor"])
        {
            var client = await service.AsAsync(role);
            (await client.PostJsonAsync($"/v1/credentials/{credential}/access-keys")).MustBeProblem(403, "forbidden");
            (await client.CallAsync(HttpMethod.Delete, $"/v1/credentials/{credential}/access-keys/x", "")).MustBeProblem(403, "forbidden");
        }

        (await service.Admin.CallAsync(HttpMethod.Delete, $"/v1/credentials/{credential}/access-keys/x", "")).MustBeProblem(404, "not-found");
        (await service.Admin.PostJsonAsync("/v1/credentials/nobody/access-keys")).MustBeProblem(404, "not-found");
    }

    [Fact]
    public async Task The_secret_is_stored_nowhere_in_the_clear_and_outlives_a_restart()
    {
        await using var own = await ServiceProcess.StartAsync();
        var made = await own.Client.MustPostAsync(201, "/v1/credentials/bootstrap/access-keys");
        var secret = Encoding.ASCII.GetBytes(made["secretAccessKey"]);
        await new AwsClient(own.As(null), made["accessKeyId"], made["secretAccessKey"]).MustAsync("DescribeKey", Describe);
        await own.RestartAsync();
        await new AwsClient(own.As(null), made["accessKeyId"], made["secretAccessKey"]).MustAsync("DescribeKey", Describe);

        await own.KillAsync();
        foreach (var file in Directory.EnumerateFiles(own.Data, "*", SearchOption.AllDirectories))
            Assert.True((await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken)).AsSpan().IndexOf(secret) < 0, $"{file} holds the secret.");
        Assert.DoesNotContain(made["secretAccessKey"], own.Output + own.Error, StringComparison.Ordinal);
    }
}
