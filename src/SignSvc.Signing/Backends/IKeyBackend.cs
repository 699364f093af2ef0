using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Backends;

/// <summary>
/// A place where private keys live. An implementation guarantees, and the contract suite
/// (<c>tests/SignSvc.Backends.Tests</c>) checks:
/// <list type="bullet">
/// <item>When <see cref="CreateAsync"/> returns, the private key survives the loss of this process: it is durable in
/// the backend, or wrapped inside the handle. It is never readable by a caller.</item>
/// <item>A signature is made over exactly the digest given, with exactly the algorithm given, or the call fails.</item>
/// <item>Calls may come from many threads at once. A cancelled call ends soon; whether it took effect is open.</item>
/// <item>Every failure is a <see cref="SigningException"/>: <see cref="SigningFault.Overloaded"/> where it was
/// throttled, <see cref="SigningFault.BackendUnavailable"/> where trying again may help,
/// <see cref="SigningFault.KeyNotUsable"/> where the key is disabled or gone there,
/// <see cref="SigningFault.BackendFailed"/> where an operator has to act.</item>
/// <item><see cref="IDisposable"/>/<see cref="IAsyncDisposable"/>, where implemented, zeroes what it holds.</item>
/// </list>
/// Budgets, metrics and verification of what comes back are wrappers around a backend, never inside it.
/// </summary>
public interface IKeyBackend
{
    /// <summary>As it stands in configuration and in <c>Key.Backend</c>: <c>software</c>, <c>pkcs11</c>, <c>aws-kms</c>.</summary>
    string Name { get; }

    /// <summary>The most that a key made here can claim; a single key may claim less.</summary>
    Protection Protection { get; }

    Task<BackendKeyPair> CreateAsync(KeyPairRequest request, CancellationToken cancellationToken);

    /// <param name="digest">Exactly <see cref="SigningAlgorithm.DigestLength"/> bytes.</param>
    /// <returns>ECDSA as r‖s of fixed width; RSA as long as the modulus (PSS salt as long as the hash).</returns>
    ValueTask<BackendSignature> SignAsync(
        KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken);
}

/// <param name="KeyId">The key that the pair is for. With <paramref name="Version"/> it is the pair's identity: an implementation that can, tags or labels the material with both, so that an orphan is found again.</param>
/// <param name="MultiRegion">Whether the material may be replicated to further places; null: as the backend is configured. Backends without places know no difference.</param>
public sealed record KeyPairRequest(string KeyId, int Version, string KeyName, KeySpec Spec, KeyPurpose Purpose, bool? MultiRegion = null);

/// <param name="Handle">Becomes <see cref="KeyVersion.Handle"/>.</param>
/// <param name="Protection">What is true of this key, which may be less than the backend's best.</param>
public sealed record BackendKeyPair(string Handle, PublicKey PublicKey, Protection Protection)
{
    /// <summary>An import found the key in the backend already: whoever undoes the import leaves it there.</summary>
    public bool WasThere { get; init; }
}

/// <param name="Value">r‖s, or the RSA signature.</param>
/// <param name="RequestId">The backend's own name for the call (an AWS request id), for the audit record; null where it has none.</param>
public readonly record struct BackendSignature(byte[] Value, string? RequestId = null);

/// <summary>Ability: brings private keys from outside under the backend's protection.</summary>
public interface IImportsKeys
{
    /// <param name="pkcs8">DER PKCS#8 of the private key. The caller zeroes it when the call returns.</param>
    Task<BackendKeyPair> ImportAsync(KeyPairRequest request, ReadOnlyMemory<byte> pkcs8, CancellationToken cancellationToken);
}

/// <summary>Ability: takes into use a key that already lives in the backend.</summary>
public interface IAdoptsKeys
{
    /// <param name="reference">The backend's name for the key: an ARN or alias, a PKCS#11 label or <c>id:</c> with hex CKA_ID.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>, or <see cref="SigningFault.InvalidRequest"/> where the key there cannot sign or has another spec.</exception>
    Task<BackendKeyPair> AdoptAsync(KeyPairRequest request, string reference, CancellationToken cancellationToken);
}

/// <summary>Ability: ends private keys for good.</summary>
public interface IDestroysKeys
{
    /// <summary>Afterwards no signature can be made with this version. Doing it twice is no fault.</summary>
    Task DestroyAsync(KeyVersion version, CancellationToken cancellationToken);
}

/// <summary>Ability: signs inside this process, as the volume tier wants it, with keys that are opened ahead of their use.</summary>
public interface IPreparesKeys : IKeyBackend
{
    /// <summary>Unwraps the key now, so that its first signature does not wait for the wrapping key.</summary>
    /// <exception cref="SigningException">As the wrapping key's.</exception>
    Task PrepareAsync(KeyVersion version, CancellationToken cancellationToken);

    /// <summary>Lets go of the key and zeroes it, for good: what is still opening it, or comes late, is refused.</summary>
    void Forget(KeyVersion version);
}

/// <summary>Ability: wraps secrets (private keys of the volume tier) so that they can be stored outside.</summary>
public interface IWrapsKeys
{
    /// <summary>Authenticated encryption; the context is bound and has to be given again, byte for byte.</summary>
    Task<byte[]> WrapAsync(ReadOnlyMemory<byte> secret, WrappingContext context, CancellationToken cancellationToken);

    /// <exception cref="SigningException"><see cref="SigningFault.BackendFailed"/>: tampered with, another context or another wrapping key.</exception>
    Task<byte[]> UnwrapAsync(ReadOnlyMemory<byte> wrapped, WrappingContext context, CancellationToken cancellationToken);
}

/// <summary>What a wrapped key is bound to: AWS KMS encryption context, or associated data.</summary>
public sealed record WrappingContext(string KeyId, int Version, KeyPurpose Purpose)
{
    public byte[] ToAssociatedData() =>
        System.Text.Encoding.UTF8.GetBytes($"signsvc:{KeyId}:{Version}:{(Purpose == KeyPurpose.Tokens ? "tokens" : "artifacts")}");
}
