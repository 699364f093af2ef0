[assembly: AssemblyFixture(typeof(SignSvc.Tests.RunningService))]

namespace SignSvc.Tests;

/// <summary>One service for all tests that leave it as healthy as they found it. They use names of their own.</summary>
public sealed class RunningService : IAsyncLifetime
{
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

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
    }
}
