using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Compatibility;

/// <summary>An access key of a new credential, and the environment that gives it to AWS's clients.</summary>
internal sealed record AccessKeyOf(string Id, string Secret, string Token)
{
    private static int _names;

    public static async Task<AccessKeyOf> NewAsync(RunningService service, params string[] roles)
    {
        var cancellation = TestContext.Current.CancellationToken;
        var name = $"aws-{Interlocked.Increment(ref _names)}";
        var credential = await service.PostAsync("/v1/credentials", new { name, roles }, cancellation);
        var made = await service.PostAsync($"/v1/credentials/{name}/access-keys", new { }, cancellation);
        return new AccessKeyOf(
            made.GetProperty("accessKeyId").GetString()!, made.GetProperty("secretAccessKey").GetString()!, credential.GetProperty("token").GetString()!);
    }

    public IReadOnlyDictionary<string, string> Environment(RunningService service) => new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["SIGNSVC_URL"] = service.Url,
        ["AWS_ENDPOINT_URL_KMS"] = service.Url,
        ["AWS_REGION"] = "eu-central-1",
        ["AWS_DEFAULT_REGION"] = "eu-central-1",
        ["AWS_ACCESS_KEY_ID"] = Id,
        ["AWS_SECRET_ACCESS_KEY"] = Secret,
        ["AWS_CONFIG_FILE"] = "/dev/null",
        ["AWS_SHARED_CREDENTIALS_FILE"] = "/dev/null",
        ["AWS_EC2_METADATA_DISABLED"] = "true",
        ["VAULT_ADDR"] = service.Url,
        ["VAULT_TOKEN"] = Token,
        ["COSIGN_PASSWORD"] = "",
        ["NO_PROXY"] = "127.0.0.1",
    };
}
