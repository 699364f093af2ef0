using System.Security.Cryptography;
using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Pkcs11.Tokens;

/// <summary>
/// A worker's session and the object handles it has found. PKCS#11 promises a handle only to the session that got it
/// (v2.40 usage guide, section 2.3), so every session finds for itself. Belongs to the worker's thread.
/// </summary>
internal sealed class TokenSession(TokenConnection connection, CryptokiSession cryptoki, Token token)
{
    private const int MostKeys = 4_096;
    private const int MostCandidates = 8;

    private readonly Dictionary<string, (nuint Object, PublicKey PublicKey)> _keys = new(StringComparer.Ordinal);
    private int _keysGeneration = token.KeysGeneration;

    public TokenConnection Connection => connection;

    public CryptokiSession Cryptoki => cryptoki;

    public string TokenName => token.Name;

    /// <summary>Whether a key here that keeps its attributes may be called a key in an HSM.</summary>
    public bool IsHardware => connection.IsHardware || token.TrustAsHardware;

    public void ThrowIfUsurped()
    {
        if (cryptoki.IsUsurped)
            throw new CryptokiException("C_OpenSession", CKR_SESSION_HANDLE_INVALID);
    }

    /// <summary>The wrapping key whose attributes were found right.</summary>
    public nuint? SoundWrappingKey { get; set; }

    public void ForgetKeys() => _keys.Clear();

    /// <summary>
    /// Signs with the private key that belongs to the version's public key, whatever the handle says: before a found
    /// object is used it has to make a signature that the public key verifies. A handle that was tampered with, a
    /// CKA_ID given twice or a token filled with other keys thus ends in a refusal, never in a foreign signature.
    /// </summary>
    /// <exception cref="KeyNotHereException">No such key on this token.</exception>
    public void Sign(KeyVersion version, SigningAlgorithm algorithm, ReadOnlySpan<byte> digest, Span<byte> signature)
    {
        if (_keysGeneration != token.KeysGeneration)
        {
            _keysGeneration = token.KeysGeneration;
            ForgetKeys();
        }

        var handle = version.Handle ?? throw new KeyNotHereException("The version has no handle.");
        if (!_keys.TryGetValue(handle, out var key) || !IsSame(key.PublicKey, version.PublicKey))
        {
            key = (FindProven(handle, version.PublicKey, algorithm), version.PublicKey);
            if (_keys.Count >= MostKeys)
                ForgetKeys();
            _keys[handle] = key;
            token.Doubts.Found(handle);
        }

        SigningMechanism.Sign(cryptoki, key.Object, algorithm, digest, signature);
    }

    /// <summary>
    /// Objects of a class under a reference. Empty only if they are not there: a session that is logged out does not see
    /// private keys, and it may have been logged out and in again while it looked, so it looks twice.
    /// </summary>
    public List<nuint> Find(nuint objectClass, KeyReference reference)
    {
        using var template = new Template().With(CKA_CLASS, objectClass);
        reference.AddTo(template);
        var found = cryptoki.FindObjects(template);
        if (found.Count > 0 || (connection.Info.flags & CKF_LOGIN_REQUIRED) == 0)
            return found;
        ThrowIfLoggedOut();
        found = cryptoki.FindObjects(template);
        if (found.Count == 0)
            ThrowIfLoggedOut();
        return found;
    }

    /// <summary>Whether the object is the private key to the public one.</summary>
    /// <param name="algorithm">By which it is asked; null: by any that it signs with.</param>
    public bool Proves(nuint candidate, PublicKey publicKey, SigningAlgorithm? algorithm = null)
    {
        try
        {
            return algorithm is null
                ? SigningMechanism.Proves(cryptoki, candidate, publicKey)
                : SigningMechanism.Proves(cryptoki, candidate, publicKey, algorithm);
        }
        catch (CryptokiException e) when (e.Rv is CKR_KEY_TYPE_INCONSISTENT or CKR_KEY_SIZE_RANGE or CKR_DATA_LEN_RANGE)
        {
            // A key of another kind under the same CKA_ID.
            return false;
        }
    }

    private void ThrowIfLoggedOut()
    {
        ThrowIfUsurped();
        if (token.Connection != connection || !cryptoki.IsLoggedIn())
            throw new CryptokiException("C_GetSessionInfo", CKR_USER_NOT_LOGGED_IN);
    }

    private nuint FindProven(string handle, PublicKey publicKey, SigningAlgorithm algorithm)
    {
        if (!KeyReference.TryParseHandle(handle, out var reference))
            throw new KeyNotHereException("The handle names no key of a PKCS#11 token.");
        var candidates = Find(CKO_PRIVATE_KEY, reference);
        foreach (var candidate in candidates.Take(MostCandidates))
        {
            if (Proves(candidate, publicKey, algorithm))
                return candidate;
        }

        // Another thread under the same number may have taken this one's results.
        ThrowIfUsurped();
        throw new KeyNotHereException(candidates.Count == 0
            ? $"The token {token.Name} has no such key."
            : $"The key on the token {token.Name} does not belong to the version's public key.");
    }

    private static bool IsSame(PublicKey a, PublicKey b) =>
        ReferenceEquals(a, b) || CryptographicOperations.FixedTimeEquals(a.Spki.Span, b.Spki.Span);
}

/// <summary>This token does not hold the key; another may.</summary>
internal sealed class KeyNotHereException(string message) : Exception(message);
