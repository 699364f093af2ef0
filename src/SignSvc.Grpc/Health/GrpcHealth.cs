using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Hosting;
using static SignSvc.Grpc.Health.HealthCheckResponse.Types;

namespace SignSvc.Grpc.Health;

/// <summary>
/// What health checks are told of each service. The server as a whole (the empty name) serves from the start; when the
/// host stops, nothing serves any more and watches end.
/// </summary>
public sealed class GrpcHealth
{
    /// <summary>Watches at once; the next is refused with RESOURCE_EXHAUSTED.</summary>
    public const int MostWatches = 1000;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, ServingStatus> _services = new(StringComparer.Ordinal) { [""] = ServingStatus.Serving };
    private readonly List<(string Service, Channel<ServingStatus> Changes)> _watches = [];
    private bool _stopped;

    public GrpcHealth(IHostApplicationLifetime lifetime)
    {
        ArgumentNullException.ThrowIfNull(lifetime);
        lifetime.ApplicationStopping.UnsafeRegister(static h => ((GrpcHealth)h!).Stop(), this);
    }

    /// <summary>Says whether a service takes calls; the empty name is the server as a whole.</summary>
    public void Set(string service, bool serving)
    {
        var status = serving ? ServingStatus.Serving : ServingStatus.NotServing;
        lock (_lock)
        {
            if (_stopped || (_services.TryGetValue(service, out var known) && known == status))
                return;
            _services[service] = status;
            foreach (var watch in _watches)
            {
                if (string.Equals(watch.Service, service, StringComparison.Ordinal))
                    watch.Changes.Writer.TryWrite(status);
            }
        }
    }

    internal IEndpointConventionBuilder Map(IEndpointRouteBuilder endpoints) =>
        endpoints.MapGrpcService(HealthReflection.Descriptor.Services[0], methods => methods
            .Unary<HealthCheckRequest, HealthCheckResponse>("Check", Check)
            .ServerStreaming<HealthCheckRequest, HealthCheckResponse>("Watch", WatchAsync));

    private ValueTask<HealthCheckResponse> Check(HealthCheckRequest request, GrpcCall call)
    {
        lock (_lock)
        {
            return _services.TryGetValue(request.Service, out var status)
                ? ValueTask.FromResult(new HealthCheckResponse { Status = status })
                : throw new GrpcException(StatusCode.NotFound, "The service is not known here.");
        }
    }

    private async ValueTask WatchAsync(
        HealthCheckRequest request, ResponseWriter<HealthCheckResponse> responses, GrpcCall call)
    {
        var changes = Begin(request.Service);
        try
        {
            await foreach (var status in changes.Reader.ReadAllAsync(call.CancellationToken))
                await responses.WriteAsync(new HealthCheckResponse { Status = status });
        }
        finally
        {
            lock (_lock)
                _watches.RemoveAll(w => w.Changes == changes);
        }

        throw new GrpcException(StatusCode.Unavailable, "The server is stopping.");
    }

    /// <summary>A watch of one item: a client that reads slowly misses what was overtaken, never the latest.</summary>
    private Channel<ServingStatus> Begin(string service)
    {
        var changes = Channel.CreateBounded<ServingStatus>(
            new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
        lock (_lock)
        {
            if (_watches.Count >= MostWatches)
                throw new GrpcException(StatusCode.ResourceExhausted, $"There are {MostWatches} watches already.");
            changes.Writer.TryWrite(_services.GetValueOrDefault(service, ServingStatus.ServiceUnknown));
            if (_stopped)
                changes.Writer.Complete();
            else
                _watches.Add((service, changes));
        }

        return changes;
    }

    private void Stop()
    {
        lock (_lock)
        {
            _stopped = true;
            foreach (var service in _services.Keys.ToArray())
                _services[service] = ServingStatus.NotServing;
            foreach (var (service, changes) in _watches)
            {
                if (_services.ContainsKey(service))
                    changes.Writer.TryWrite(ServingStatus.NotServing);
                changes.Writer.Complete();
            }

            _watches.Clear();
        }
    }
}
