using SignSvc.Backends.Pkcs11.Tokens;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Pkcs11.Keys;

/// <summary>
/// One import into one token, however often it is tried. It remembers what was there before its first try: that is taken
/// as it is, and stays when the import is undone.
/// </summary>
internal sealed class TokenImport(KeyPairRequest request, ImportedKey key)
{
    private readonly byte[] _id = TokenKeys.IdOf(key.PublicKey);
    private Before? _before;

    /// <summary>
    /// Brings the private key in by C_UnwrapKey under an AES key that lives for this call: its plaintext never crosses the
    /// module's interface. The key has been outside, so it never counts as an HSM's (CKA_NEVER_EXTRACTABLE is false).
    /// </summary>
    public BackendKeyPair Run(TokenSession session)
    {
        var reference = KeyReference.Id(_id);
        _before ??= new Before(session.Find(CKO_PRIVATE_KEY, reference).Count > 0, session.Find(CKO_PUBLIC_KEY, reference).Count > 0);
        if (_before.HadPrivateKey)
            return Take(session, reference);

        // What a try before this one left behind.
        Undo(session);
        var keyType = request.Spec.Family == KeyFamily.Ecc ? CKK_EC : CKK_RSA;
        using var privateTemplate = TokenKeys.PrivateTemplate(request, _id).With(CKA_CLASS, CKO_PRIVATE_KEY).With(CKA_KEY_TYPE, keyType);
        var privateKey = KeyImport.Unwrap(session, key, privateTemplate);
        if (!_before.HadPublicKey)
        {
            using var publicTemplate = TokenKeys.PublicTemplate(request, _id).With(CKA_CLASS, CKO_PUBLIC_KEY).With(CKA_KEY_TYPE, keyType);
            key.AddPublicTo(publicTemplate);
            session.Cryptoki.CreateObject(publicTemplate);
        }

        if (!SigningMechanism.Proves(session.Cryptoki, privateKey, key.PublicKey))
            throw new SigningException(SigningFault.BackendFailed, "The token does not sign with the key that it was given.");
        return new BackendKeyPair(reference.ToString(), key.PublicKey, TokenKeys.ProtectionOf(session, privateKey));
    }

    /// <summary>Destroys what this import made, and nothing that was there before it.</summary>
    public void Undo(TokenSession session)
    {
        if (_before is null || _before.HadPrivateKey)
            return;
        TokenKeys.DestroyAll(session, CKO_PRIVATE_KEY, KeyReference.Id(_id));
        if (!_before.HadPublicKey)
            TokenKeys.DestroyAll(session, CKO_PUBLIC_KEY, KeyReference.Id(_id));
    }

    /// <summary>False where there is nothing to undo: the token was never asked, or had the key.</summary>
    public bool MayHaveMade => _before is { HadPrivateKey: false };

    private BackendKeyPair Take(TokenSession session, KeyReference reference)
    {
        var there = TokenKeys.Adopt(session, request.Spec, reference);
        return string.Equals(there.PublicKey.Kid, key.PublicKey.Kid, StringComparison.Ordinal)
            ? there with { WasThere = true }
            : throw new SigningException(SigningFault.BackendFailed, $"The token has another key under the CKA_ID of this one, {reference}.");
    }

    private sealed record Before(bool HadPrivateKey, bool HadPublicKey);
}
