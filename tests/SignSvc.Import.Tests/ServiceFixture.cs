namespace SignSvc.Import.Tests;

/// <summary>One service for the tests of a class: each makes keys of its own in it.</summary>
public sealed class ServiceFixture : IAsyncLifetime
{
    public ServiceProcess Service { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Service = await ServiceProcess.StartAsync();

    public ValueTask DisposeAsync() => Service?.DisposeAsync() ?? ValueTask.CompletedTask;
}
