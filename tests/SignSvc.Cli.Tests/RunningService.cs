[assembly: AssemblyFixture(typeof(SignSvc.Cli.Tests.RunningService))]

namespace SignSvc.Cli.Tests;

/// <summary>One real service for all tests.</summary>
public sealed class RunningService : IAsyncLifetime
{
    private ServiceProcess? _process;

    public string Url => Process.Url.GetLeftPart(UriPartial.Authority);

    public string Data => Process.Data;

    public string Token => Process.AdminToken.Trim();

    private ServiceProcess Process => _process ?? throw new InvalidOperationException("The service has not started yet.");

    public async ValueTask InitializeAsync() => _process = await ServiceProcess.StartAsync();

    /// <summary>Asks the service itself, past the command line.</summary>
    public Task<byte[]> GetAsync(string path) =>
        Process.Client.GetByteArrayAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken);

    public ValueTask DisposeAsync() => _process?.DisposeAsync() ?? ValueTask.CompletedTask;
}
