using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Backends;

/// <summary>Ability beside <see cref="IWrapsKeys"/>: makes a key pair there and hands out its private key only wrapped.</summary>
public interface IMakesWrappedKeys
{
    /// <summary>The same as making a pair here and wrapping its PKCS#8, without its plaintext ever having been here.</summary>
    Task<WrappedKeyPair> MakeWrappedAsync(KeyPairRequest request, CancellationToken cancellationToken);

    /// <summary>Wraps again under the wrapping key's newest material, without the plaintext passing through here.</summary>
    Task<byte[]> RewrapAsync(ReadOnlyMemory<byte> wrapped, WrappingContext context, CancellationToken cancellationToken);
}

/// <summary>Ability: keeps private keys wrapped in their handles, and wraps them anew.</summary>
public interface IRewrapsKeys
{
    /// <summary>Under the wrapping key's newest material.</summary>
    /// <returns>The version's new handle, which was opened once; the old one is good until the new one is recorded.</returns>
    Task<string> RewrapAsync(KeyVersion version, CancellationToken cancellationToken);
}

/// <param name="Wrapped">Unwraps, in the request's <see cref="WrappingContext"/>, to DER PKCS#8.</param>
public sealed record WrappedKeyPair(PublicKey PublicKey, byte[] Wrapped);
