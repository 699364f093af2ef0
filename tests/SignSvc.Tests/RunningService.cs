[assembly: AssemblyFixture(typeof(SignSvc.Tests.RunningService))]

namespace SignSvc.Tests;

/// <summary>One service for all tests that leave it as healthy as they found it. They use names of their own.</summary>
public sealed class RunningService : IAsyncLifetime
{
    /// <summary>Those of people and of programs, as the table of <c>docs/api.md</c> has them.</summary>
    public static readonly string[] Roles = ["admin", "operator", "signer", "auditor"];

    private static int _names;

    private ServiceProcess? _process;

    public ServiceProcess Process => _process ?? throw new InvalidOperationException("The service has not started yet.");

    public HttpClient Admin => Process.Client;

    public static string NewName(string prefix) => $"{prefix}-{Interlocked.Increment(ref _names)}";

    public async ValueTask InitializeAsync() => _process = await ServiceProcess.StartAsync();

    /// <summary>A client with a new credential of these roles (in JSON's words).</summary>
    public async Task<HttpClient> AsAsync(params string[] roles) => Process.As((await NewCredentialAsync(roles))["token"]);

    public Task<JsonAnswer> NewCredentialAsync(params string[] roles) => Admin.MustPostAsync(
        201, "/v1/credentials", $$"""{"name":"{{NewName("caller")}}","roles":[{{string.Join(',', roles.Select(r => $"\"{r}\""))}}]}""");

    /// <summary>Whether a role alone allows an action, as the service explains it.</summary>
    public async Task<bool> MayAsync(string role, string action)
    {
        var explained = await Admin.MustPostAsync(
            200, "/v1/policy/explain", $$"""{"action":"{{action}}","principal":"credential:nobody-at-all","roles":["{{role}}"]}""");
        return explained.Json.GetProperty("allowed").GetBoolean();
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
    }
}
