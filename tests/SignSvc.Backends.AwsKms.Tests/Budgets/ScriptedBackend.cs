using System.Collections.Concurrent;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.AwsKms.Tests.Budgets;

/// <summary>A backend whose answers a test gives, one after the other or for each place.</summary>
internal sealed class ScriptedBackend(params string[] places) : IKeyBackend, IHasPlaces
{
    public string Name => "scripted";

    public Protection Protection => Protection.Kms;

    public string HomePlace => places.Length == 0 ? "" : places[0];

    public ConcurrentQueue<string> Calls { get; } = new();

    /// <summary>Place and number of the call, from 1.</summary>
    public Func<string, int, CancellationToken, Task> Answer { get; set; } = (_, _, _) => Task.CompletedTask;

    public IReadOnlyList<string> PlacesOf(KeyVersion version) => places.Length == 0 ? [""] : places;

    public async ValueTask<BackendSignature> SignAtAsync(
        string place, KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken)
    {
        Calls.Enqueue(place);
        await Answer(place, Calls.Count, cancellationToken);
        return new BackendSignature([1]);
    }

    public ValueTask<BackendSignature> SignAsync(
        KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken) =>
        SignAtAsync("", version, algorithm, digest, cancellationToken);

    public Task<BackendKeyPair> CreateAsync(KeyPairRequest request, CancellationToken cancellationToken) => throw new NotSupportedException();
}
