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
        Assert.DoesNotContain("ecret", listed.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("ecret", (await service.Admin.MustGetAsync("/v1/credentials")).Text, StringComparison.Ordinal);
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
