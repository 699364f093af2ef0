using SignSvc.Load.Calls;
using SignSvc.Load.Running;
using SignSvc.Load.Scenarios;
using SignSvc.Tests.Shared;

namespace SignSvc.Load.Surroundings;

/// <summary>A scenario's service and what stands behind it; all of it goes when the scenario is over.</summary>
internal sealed class Stage : IAsyncDisposable
{
    /// <summary>The credential for a service that was not started here.</summary>
    private const string TokenVariable = "SIGNSVC_TOKEN";

    private static readonly TimeSpan KmsLatency = TimeSpan.FromMilliseconds(10);

    private readonly List<IAsyncDisposable> _behind = [];

    private Stage(ServiceTarget? service) => Service = service!;

    public ServiceTarget Service { get; private set; }

    /// <exception cref="UsageException">The scenario needs what only a service of our own has, or the address is remote.</exception>
    /// <exception cref="TargetLostException">Nobody answers there.</exception>
    public static async Task<Stage> AtAsync(Scenario scenario, Uri url, Uri? grpcUrl, bool allowRemote, CancellationToken cancellationToken)
    {
        if (scenario.Need != Need.Service)
            throw new UsageException($"{scenario.Name} starts its own service and backend: leave --url out.");
        var token = Environment.GetEnvironmentVariable(TokenVariable)
            ?? throw new UsageException($"Put a credential of the service into {TokenVariable}.");
        var service = ServiceTarget.At(url, grpcUrl, token, allowRemote);
        await service.MustAsync(ServiceCalls.KeySet(), cancellationToken);
        return new Stage(service);
    }

    /// <summary>A service that stands already, and goes with the stage.</summary>
    public static Stage With(ServiceTarget service) => new(service);

    public static async Task<Stage> SetAsync(Scenario scenario, bool onPostgres, CancellationToken cancellationToken)
    {
        var stage = new Stage(service: null);
        try
        {
            var settings = new Dictionary<string, string>(StringComparer.Ordinal);
            if (onPostgres)
            {
                var cluster = stage.Keep(await PostgresCluster.CreateAsync(cancellationToken));
                settings["SignSvc__Store__Postgres"] = cluster.ConnectionString(await cluster.CreateDatabaseAsync(cancellationToken));
            }

            if (scenario.Need == Need.ThrottledKms)
            {
                var emulator = stage.Keep(await KmsEmulatorProcess.StartAsync(KmsThrottled.Quota, KmsLatency, cancellationToken));
                foreach (var (name, value) in emulator.Settings)
                    settings[name] = value;
            }

            stage.Service = stage.Keep(await ServiceTarget.StartAsync(settings, cancellationToken));
            return stage;
        }
        catch
        {
            await stage.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        for (var i = _behind.Count - 1; i >= 0; i--)
            await _behind[i].DisposeAsync();
        if (_behind.Count == 0 && Service is not null)
            await Service.DisposeAsync();
    }

    private T Keep<T>(T thing)
        where T : IAsyncDisposable
    {
        _behind.Add(thing);
        return thing;
    }
}
