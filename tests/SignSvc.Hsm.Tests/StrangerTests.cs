using SignSvc.Signing.Keys;

namespace SignSvc.Hsm.Tests;

/// <summary>Whom the service does not know does not reach the HSM.</summary>
public sealed class StrangerTests
{
    /// <summary>Their places in <c>CK_FUNCTION_LIST</c> (PKCS#11 v2.40, section 3.6).</summary>
    private const int Sign = 43;
    private const int GenerateKeyPair = 59;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Strangers_cause_no_call_to_the_module()
    {
        await using var tokens = await HsmTokens.MakeAsync("counted");
        var module = await tokens.MakeCountedAsync();
        await using var service = await ServiceProcess.StartAsync(tokens.Service(("Backends__Pkcs11__ModulePath", module.Path)));
        await service.CreateAsync("release-hsm", KeySpec.P256);
        await service.MakeVolumeKeyAsync();
        await service.AssertIssuesAsync();
        var made = await module.ReadAsync(Cancel);
        await service.SignAndVerifyAsync("release-hsm", SigningAlgorithm.ES256);
        var before = await module.ReadAsync(Cancel);
        // It counts what a known caller causes.
        Assert.True(made[GenerateKeyPair] > 0 && before[Sign] > made[Sign], $"{made[GenerateKeyPair]}, {made[Sign]}, {before[Sign]}");

        using var stranger = service.As(token: null);
        using var forger = service.As("nobody's");
        for (var i = 0; i < 200; i++)
        {
            var client = i % 2 == 0 ? stranger : forger;
            await RefusedAsync(client, "/v1/keys/release-hsm/sign", $$"""{"digest":"{{Convert.ToBase64String(new byte[32])}}"}""");
            await RefusedAsync(client, "/v1/keys", """{"name":"n","purpose":"artifacts","backend":"pkcs11","spec":"ECC_NIST_P256"}""");
            await RefusedAsync(client, "/v1/tokens", """{"profile":"hsm","subject":"build","audience":"api://deploy"}""");
        }

        Assert.Equal(before, await module.ReadAsync(Cancel));
    }

    private static async Task RefusedAsync(HttpClient client, string path, string body)
    {
        var answer = await client.PostJsonAsync(path, body);
        Assert.True(answer.Code == 401, answer.ToString());
    }
}
