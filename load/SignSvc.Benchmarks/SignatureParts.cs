using System.Security.Cryptography;
using BenchmarkDotNet.Attributes;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Keys;

namespace SignSvc.Benchmarks;

/// <summary>What an assured signature costs beside the backend's own work.</summary>
public class SignatureParts
{
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly byte[] _digest = SHA256.HashData("release"u8);
    private BudgetedBackend _budgeted = null!;
    private BudgetedBackend _unlimited = null!;
    private KeyVersion _version = null!;
    private byte[] _signature = [];
    private byte[] _der = [];

    [GlobalSetup]
    public void Prepare()
    {
        _signature = _key.SignHash(_digest);
        _der = EcdsaEncoding.ToDer(_signature);
        if (!FromDer())
            throw new InvalidOperationException("The signature does not survive its encodings.");
        var publicKey = PublicKey.FromSpki(_key.ExportSubjectPublicKeyInfo());
        _version = new KeyVersion
        {
            KeyId = "key",
            Number = 1,
            PublicKey = publicKey,
            Handle = "",
            Protection = Protection.Software,
            State = VersionState.Active,
            CreatedAt = DateTimeOffset.UnixEpoch,
            SignsFrom = DateTimeOffset.UnixEpoch,
        };
        var inner = new InstantBackend(_signature);
        _budgeted = Budget(inner, perSecond: 1_000_000);
        _unlimited = Budget(inner, perSecond: null);
    }

    [Benchmark(Description = "r‖s to DER")]
    public byte[] ToDer() => EcdsaEncoding.ToDer(_signature);

    [Benchmark(Description = "DER to r‖s")]
    public bool FromDer() => EcdsaEncoding.TryFromDer(_der, 32, out _);

    [Benchmark(Description = "verify what came back")]
    public bool Verify() => _version.PublicKey.Verify(SigningAlgorithm.ES256, _digest, _signature);

    [Benchmark(Description = "pass an idle budget with a quota")]
    public async Task<int> BudgetedAsync() =>
        (await _budgeted.SignAsync(_version, SigningAlgorithm.ES256, _digest, CancellationToken.None)).Value.Length;

    [Benchmark(Description = "pass a budget without one")]
    public async Task<int> UnlimitedAsync() =>
        (await _unlimited.SignAsync(_version, SigningAlgorithm.ES256, _digest, CancellationToken.None)).Value.Length;

    [GlobalCleanup]
    public void End()
    {
        _budgeted.Dispose();
        _unlimited.Dispose();
        _key.Dispose();
    }

    private static BudgetedBackend Budget(IKeyBackend inner, double? perSecond) => new(
        inner,
        new BudgetOptions { Families = new Dictionary<string, BudgetLimits>(StringComparer.Ordinal) { ["ECC"] = new() { PerSecond = perSecond } } },
        TimeProvider.System);

    /// <summary>Answers at once: what remains is the budget's own work.</summary>
    private sealed class InstantBackend(byte[] signature) : IKeyBackend
    {
        public string Name => "instant";

        public Protection Protection => Protection.Software;

        public Task<BackendKeyPair> CreateAsync(KeyPairRequest request, CancellationToken cancellationToken) => throw new NotSupportedException();

        public ValueTask<BackendSignature> SignAsync(
            KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken) =>
            ValueTask.FromResult(new BackendSignature(signature));
    }
}
