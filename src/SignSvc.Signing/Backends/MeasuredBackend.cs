using System.Diagnostics;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Telemetry;

namespace SignSvc.Signing.Backends;

/// <summary>Times every signature of an assured backend, and puts the backend's own name of the call on its span.</summary>
public sealed class MeasuredBackend(IKeyBackend backend, TimeProvider time) : IKeyBackend
{
    public string Name => backend.Name;

    public Protection Protection => backend.Protection;

    public Task<BackendKeyPair> CreateAsync(KeyPairRequest request, CancellationToken cancellationToken) =>
        backend.CreateAsync(request, cancellationToken);

    public async ValueTask<BackendSignature> SignAsync(
        KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken)
    {
        using var span = SigningSpans.Start(SigningSpans.Backend, ActivityKind.Client);
        span?.SetTag(Tags.Backend, backend.Name);
        var started = time.GetTimestamp();
        try
        {
            var signature = await backend.SignAsync(version, algorithm, digest, cancellationToken);
            if (signature.RequestId is { } requestId)
                span?.SetTag(Tags.BackendRequestId, requestId);
            SigningMeters.BackendCalled(backend.Name, fault: null, time.GetElapsedTime(started));
            return signature;
        }
        catch (SigningException e)
        {
            span.Refused(e);
            SigningMeters.BackendCalled(backend.Name, e.Fault, time.GetElapsedTime(started));
            throw;
        }
    }
}
