using System.Buffers.Text;
using System.Security.Cryptography;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Backends.Software;

/// <summary>
/// Private keys made and used in this process, stored only wrapped. It is the embedded default, the reference that the
/// contract suite was written against, and the engine of the volume tier, whose keys differ in who wraps them.
/// A handle is <c>purpose:base64</c> of the wrapped PKCS#8.
/// </summary>
public sealed class SoftwareBackend(string name, IWrapsKeys wrapping) : IPreparesKeys, IImportsKeys, IDestroysKeys, IRewrapsKeys, IDisposable
{
    private readonly OpenKeys _open = new();

    public string Name => name;

    public Protection Protection => Protection.Software;

    public async Task<BackendKeyPair> CreateAsync(KeyPairRequest request, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        // RSA pairs are few a second where they are made wrapped, and a thousand times the price.
        if (wrapping is IMakesWrappedKeys making && request.Spec.Family == KeyFamily.Ecc)
        {
            var made = await making.MakeWrappedAsync(request, cancellationToken);
            return new BackendKeyPair(HandleOf(request.Purpose, made.Wrapped), made.PublicKey, Protection);
        }

        using AsymmetricAlgorithm key = request.Spec.Family == KeyFamily.Ecc
            ? ECDsa.Create(request.Spec.Curve)
            : RSA.Create(request.Spec.Bits);
        return await WrapAsync(key, request, cancellationToken);
    }

    public async Task<BackendKeyPair> ImportAsync(
        KeyPairRequest request, ReadOnlyMemory<byte> pkcs8, CancellationToken cancellationToken)
    {
        using var key = Open(pkcs8.Span, request.Spec);
        return await WrapAsync(key, request, cancellationToken);
    }

    public ValueTask<BackendSignature> SignAsync(
        KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken)
    {
        if (digest.Length != algorithm.DigestLength)
            throw new SigningException(SigningFault.InvalidDigest, $"{algorithm} signs digests of {algorithm.DigestLength} bytes.");
        if (!version.PublicKey.Spec.CanSignWith(algorithm))
            throw new SigningException(SigningFault.AlgorithmMismatch, $"A key of spec {version.PublicKey.Spec} does not sign with {algorithm}.");
        cancellationToken.ThrowIfCancellationRequested();
        return _open.Find(HandleOf(version)) is { } key
            ? ValueTask.FromResult(Sign(key, algorithm, digest.Span))
            : SignWhenOpenAsync(OpenOnceAsync(version), algorithm, digest, cancellationToken);
    }

    /// <summary>Nothing is kept here but the opened key; the wrapped one goes with the version's handle.</summary>
    public Task DestroyAsync(KeyVersion version, CancellationToken cancellationToken)
    {
        Forget(version);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    /// <remarks>Where the wrapping key's backend does it alone, the plaintext does not pass through here; it does to prove that what came back opens.</remarks>
    public async Task<string> RewrapAsync(KeyVersion version, CancellationToken cancellationToken)
    {
        var (purpose, wrapped) = Parse(HandleOf(version));
        var context = new WrappingContext(version.KeyId, version.Number, purpose);
        byte[] again;
        if (wrapping is IMakesWrappedKeys rewrapping)
        {
            again = await rewrapping.RewrapAsync(wrapped, context, cancellationToken);
        }
        else
        {
            var pkcs8 = await wrapping.UnwrapAsync(wrapped, context, cancellationToken);
            try
            {
                again = await wrapping.WrapAsync(pkcs8, context, cancellationToken);
            }
            finally
            {
                CryptographicOperations.ZeroMemory(pkcs8);
            }
        }

        var handle = HandleOf(purpose, again);
        // Not kept: the change that brings this handle may lose against another.
        (await OpenAsync(version with { Handle = handle })).Dispose();
        return handle;
    }

    public Task PrepareAsync(KeyVersion version, CancellationToken cancellationToken) =>
        OpenOnceAsync(version).WaitAsync(cancellationToken);

    /// <inheritdoc/>
    /// <remarks>OpenSSL zeroes the private number as it frees it: now, or when the signature that is being made is done.</remarks>
    public void Forget(KeyVersion version)
    {
        if (version.Handle is { } handle)
            _open.Close(handle);
    }

    public void Dispose() => _open.Dispose();

    private static async ValueTask<BackendSignature> SignWhenOpenAsync(
        Task<AsymmetricAlgorithm> opening, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken) =>
        Sign(await opening.WaitAsync(cancellationToken), algorithm, digest.Span);

    /// <summary>An opened key may sign from several threads at once.</summary>
    private static BackendSignature Sign(AsymmetricAlgorithm key, SigningAlgorithm algorithm, ReadOnlySpan<byte> digest)
    {
        try
        {
            return key is ECDsa ec
                ? new BackendSignature(ec.SignHash(digest, DSASignatureFormat.IeeeP1363FixedFieldConcatenation))
                : new BackendSignature(((RSA)key).SignHash(digest, algorithm.Hash, algorithm.RsaPadding!));
        }
        catch (ObjectDisposedException e)
        {
            throw new SigningException(SigningFault.KeyNotUsable, "The private key was destroyed.", e);
        }
    }

    private Task<AsymmetricAlgorithm> OpenOnceAsync(KeyVersion version) => _open.OpenAsync(HandleOf(version), () => OpenForAllAsync(version));

    /// <summary>Not within the deadline of the caller that came first: others may have more time.</summary>
    private async Task<AsymmetricAlgorithm> OpenForAllAsync(KeyVersion version)
    {
        using var terms = CallTerms.BeginShared();
        return await OpenAsync(version);
    }

    private static string HandleOf(KeyVersion version) =>
        version.Handle ?? throw new SigningException(SigningFault.KeyNotUsable, "The private key was destroyed.");

    private async Task<AsymmetricAlgorithm> OpenAsync(KeyVersion version)
    {
        var (purpose, wrapped) = Parse(HandleOf(version));
        // Not the caller's cancellation: whoever else waits for this key shall have it.
        var pkcs8 = await wrapping.UnwrapAsync(
            wrapped, new WrappingContext(version.KeyId, version.Number, purpose), CancellationToken.None);
        try
        {
            return Open(pkcs8, version.PublicKey.Spec);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(pkcs8);
        }
    }

    private async Task<BackendKeyPair> WrapAsync(
        AsymmetricAlgorithm key, KeyPairRequest request, CancellationToken cancellationToken)
    {
        var publicKey = PublicKey.FromSpki(key.ExportSubjectPublicKeyInfo());
        var pkcs8 = key.ExportPkcs8PrivateKey();
        try
        {
            var context = new WrappingContext(request.KeyId, request.Version, request.Purpose);
            var wrapped = await wrapping.WrapAsync(pkcs8, context, cancellationToken);
            return new BackendKeyPair(HandleOf(request.Purpose, wrapped), publicKey, Protection);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(pkcs8);
        }
    }

    private static string HandleOf(KeyPurpose purpose, byte[] wrapped) =>
        $"{(purpose == KeyPurpose.Tokens ? "tokens" : "artifacts")}:{Convert.ToBase64String(wrapped)}";

    private static (KeyPurpose Purpose, byte[] Wrapped) Parse(string handle) =>
        handle.Split(':') is ["tokens" or "artifacts", var wrapped] parts && Base64.IsValid(wrapped)
            ? (parts[0] is "tokens" ? KeyPurpose.Tokens : KeyPurpose.Artifacts, Convert.FromBase64String(wrapped))
            : throw new SigningException(SigningFault.BackendFailed, "A handle of the software backend is damaged.");

    private static AsymmetricAlgorithm Open(ReadOnlySpan<byte> pkcs8, KeySpec spec)
    {
        AsymmetricAlgorithm key = spec.Family == KeyFamily.Ecc ? ECDsa.Create() : RSA.Create();
        try
        {
            key.ImportPkcs8PrivateKey(pkcs8, out var read);
            if (read == pkcs8.Length && PublicKey.FromSpki(key.ExportSubjectPublicKeyInfo()).Spec == spec)
                return key;
            throw new SigningException(SigningFault.InvalidRequest, $"The private key is not a {spec} key.");
        }
        catch (CryptographicException e)
        {
            key.Dispose();
            throw new SigningException(SigningFault.InvalidRequest, $"Not the PKCS#8 of a {spec} key.", e);
        }
        catch (SigningException)
        {
            key.Dispose();
            throw;
        }
    }
}
