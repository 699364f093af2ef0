using SignSvc.Clients.Tests.Compatibility;
using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Sigstore;

/// <summary>Made once for all combinations of a backend, which run one after the other: who signs, who may not, and the keys.</summary>
public sealed class MatrixCallers
{
    private readonly Dictionary<string, string> _keys = new(StringComparer.Ordinal);
    private AccessKeyOf? _signer;
    private AccessKeyOf? _stranger;

    internal async Task<AccessKeyOf> SignerAsync(RunningService service) => _signer ??= await AccessKeyOf.NewAsync(service, "signer");

    /// <summary>May read keys, and sign with none.</summary>
    internal async Task<AccessKeyOf> StrangerAsync(RunningService service) => _stranger ??= await AccessKeyOf.NewAsync(service, "auditor");

    internal async Task<string> KeyAsync(RunningService service, string backend, string spec)
    {
        if (_keys.TryGetValue(spec, out var made))
            return made;
        var name = $"matrix-{backend}-{spec.ToLowerInvariant()}";
        var algorithm = spec is "RSA_3072" ? "RS256" : "ES256";
        await service.PostAsync(
            "/v1/keys", new { name, purpose = "artifacts", tier = "assured", backend, spec, algorithms = new[] { algorithm } },
            TestContext.Current.CancellationToken);
        return _keys[spec] = name;
    }
}
