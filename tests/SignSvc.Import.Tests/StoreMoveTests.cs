namespace SignSvc.Import.Tests;

/// <summary>A backup of either store goes into the other: from one node to several, and back.</summary>
public sealed class StoreMoveTests
{
    /// <summary>Tokens name it: they stay the service's own wherever it goes.</summary>
    private const string PublicUrl = "https://signsvc.example";

    [Fact]
    public async Task A_service_moves_from_SQLite_to_PostgreSQL_and_back_with_its_keys_its_names_and_its_audit()
    {
        var cancel = TestContext.Current.CancellationToken;
        await using var cluster = await PostgresCluster.CreateAsync(cancel);
        var postgres = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["SignSvc__Store__Postgres"] = cluster.ConnectionString(await cluster.CreateDatabaseAsync(cancel)),
            ["SignSvc__Node"] = "first",
            ["SignSvc__PublicUrl"] = PublicUrl,
        };
        var sqlite = new Dictionary<string, string>(StringComparer.Ordinal) { ["SignSvc__PublicUrl"] = PublicUrl };
        using var folders = new TemporaryFolder();
        await using var alone = await ServiceProcess.StartAsync(new ServiceOptions { Environment = sqlite });
        Assert.Equal(200, (await alone.Client.CallAsync(HttpMethod.Put, "/v1/aliases/prod/app", """{"key":"release"}""")).Code);
        var signature = await SignAsync(alone);
        Assert.Equal(200, (await alone.Client.CallAsync(HttpMethod.Put, "/v1/profiles/default", """{"key":"tokens","audiences":["*"],"introspection":true}""")).Code);
        var (revoked, good) = (await IssueAsync(alone), await IssueAsync(alone));
        Assert.Equal(200, (await StatusAsync(alone, "revoke", revoked)).Code);
        var root = File.ReadAllBytes(Path.Combine(alone.Data, "root.key"));

        // Into PostgreSQL, once and no second time.
        var backup = (await alone.Client.PostJsonAsync("/v1/backup")).Body;
        var shared = Folder("shared");
        var restored = await RestoreAsync(shared, backup, postgres);
        Assert.True(restored.ExitCode == 0 && restored.Output.Contains("into PostgreSQL", StringComparison.Ordinal), restored.ToString());
        Assert.Empty(Directory.GetFiles(shared, "signsvc.db*"));
        var again = await RestoreAsync(shared, backup, postgres);
        Assert.True(again.ExitCode == 1 && again.Error.Contains("The store is not empty", StringComparison.Ordinal), again.ToString());

        byte[] second;
        await using (var one = await ServiceProcess.StartAsync(new ServiceOptions { Data = shared, Environment = postgres }))
        {
            Assert.True(await VerifiesAsync(one, signature));
            await SignAsync(one);
            Assert.True(await IsIntactAsync(one, chains: 2));
            Assert.Equal((false, true), (await IsActiveAsync(one, revoked), await IsActiveAsync(one, good)));
            // A name that came along is taken, and a change goes on from the revision that came along.
            Assert.Equal("409 name-taken", (await one.Client.PostJsonAsync("/v1/keys", """{"name":"release","purpose":"artifacts","tier":"assured","backend":"software","spec":"ECC_NIST_P256"}""")).Problem());
            Assert.Equal(200, (await one.Client.PostJsonAsync("/v1/keys/release/rotate")).Code);
            var answer = await one.Client.PostJsonAsync("/v1/backup");
            Assert.Equal(200, answer.Code);
            second = answer.Body;
        }

        // And back.
        var back = Folder("back");
        restored = await RestoreAsync(back, second, environment: null);
        Assert.True(restored.ExitCode == 0, restored.ToString());
        await using var home = await ServiceProcess.StartAsync(new ServiceOptions { Data = back, Environment = sqlite });
        Assert.True(await VerifiesAsync(home, signature));
        await SignAsync(home);
        Assert.True(await IsIntactAsync(home, chains: 2));
        Assert.Equal((false, true), (await IsActiveAsync(home, revoked), await IsActiveAsync(home, good)));
        var versions = (await home.Client.GetJsonAsync("/v1/keys/release/versions")).Json.GetProperty("versions").GetArrayLength();
        Assert.Equal(2, versions);

        string Folder(string name)
        {
            var folder = Directory.CreateDirectory(Path.Combine(folders.Path, name)).FullName;
            foreach (var (file, content) in ((string, byte[])[])[("root.key", root), ("bootstrap.credential", System.Text.Encoding.ASCII.GetBytes(alone.AdminToken))])
            {
                File.WriteAllBytes(Path.Combine(folder, file), content);
                File.SetUnixFileMode(Path.Combine(folder, file), UnixFileMode.UserRead | UnixFileMode.UserWrite);
            }

            return folder;
        }

        async Task<EndedProcess> RestoreAsync(string folder, byte[] content, Dictionary<string, string>? environment)
        {
            var file = Path.Combine(folders.Path, "signsvc.backup");
            await File.WriteAllBytesAsync(file, content, cancel);
            return await ServiceProcess.RefuseToStartAsync(new ServiceOptions
            {
                Data = folder,
                Environment = environment ?? new Dictionary<string, string>(StringComparer.Ordinal),
                Arguments = ["restore", file],
            });
        }
    }

    private static async Task<string> IssueAsync(ServiceProcess service)
    {
        var answer = await service.Client.PostJsonAsync("/v1/tokens", """{"profile":"default","subject":"a","audience":"b","lifetimeSeconds":3600}""");
        Assert.True(answer.Code == 201, answer.ToString());
        return answer["token"];
    }

    private static async Task<bool> IsActiveAsync(ServiceProcess service, string token) =>
        (await StatusAsync(service, "introspect", token)).Json.GetProperty("active").GetBoolean();

    /// <summary>RFC 7662 and RFC 7009, as the administrator.</summary>
    private static async Task<JsonAnswer> StatusAsync(ServiceProcess service, string endpoint, string token)
    {
        var basic = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes($"bootstrap:{service.AdminToken}"));
        var request = new HttpRequestMessage(HttpMethod.Post, $"/oauth2/{endpoint}")
        {
            Content = new FormUrlEncodedContent([new("token", token)]),
            Headers = { Authorization = new("Basic", basic) },
        };
        return await service.As(token: null).CallAsync(request);
    }

    private static async Task<string> SignAsync(ServiceProcess service)
    {
        var answer = await service.Client.PostJsonAsync("/v1/keys/prod%2Fapp/sign", """{"message":"AAAA"}""");
        Assert.Equal(200, answer.Code);
        return answer.Json.GetProperty("signature").GetString()!;
    }

    private static async Task<bool> VerifiesAsync(ServiceProcess service, string signature) =>
        (await service.Client.PostJsonAsync("/v1/keys/release/verify", $$"""{"message":"AAAA","signature":"{{signature}}"}""")).Json.GetProperty("valid").GetBoolean();

    private static async Task<bool> IsIntactAsync(ServiceProcess service, int chains)
    {
        var check = (await service.Client.GetJsonAsync("/v1/audit/check")).Json;
        Assert.Equal(chains, check.GetProperty("chains").GetArrayLength());
        return check.GetProperty("intact").GetBoolean();
    }
}
