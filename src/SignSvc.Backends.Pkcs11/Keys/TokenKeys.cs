using System.Security.Cryptography;
using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Backends.Pkcs11.Tokens;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Pkcs11.Keys;

/// <summary>What is done to key pairs on a token, apart from signing with them.</summary>
internal static class TokenKeys
{
    private const int IdLength = 20;
    private static readonly byte[] Exponent65537 = [1, 0, 1];

    public static string LabelOf(KeyPairRequest request) => $"signsvc/{request.KeyId}/{request.Version}";

    /// <summary>The first 20 bytes of the SPKI's SHA-256, so that the same key has the same CKA_ID on every token.</summary>
    public static byte[] IdOf(PublicKey publicKey) => SHA256.HashData(publicKey.Spki.Span)[..IdLength];

    /// <param name="temporaryId">
    /// CKA_ID until the public key is known; unique to the call, so that a second try clears away what a first one left.
    /// </param>
    public static BackendKeyPair Generate(TokenSession session, KeyPairRequest request, byte[] temporaryId)
    {
        DestroyAll(session, KeyReference.Id(temporaryId));
        var ecc = request.Spec.Family == KeyFamily.Ecc;
        using var publicTemplate = PublicTemplate(request, temporaryId);
        if (ecc)
            publicTemplate.With(CKA_EC_PARAMS, TokenPublicKey.EcParams(request.Spec));
        else
            publicTemplate.With(CKA_MODULUS_BITS, (nuint)request.Spec.Bits).With(CKA_PUBLIC_EXPONENT, Exponent65537);
        using var privateTemplate = PrivateTemplate(request, temporaryId);
        var (publicKey, privateKey) = session.Cryptoki.GenerateKeyPair(
            ecc ? CKM_EC_KEY_PAIR_GEN : CKM_RSA_PKCS_KEY_PAIR_GEN, publicTemplate, privateTemplate);
        var made = TokenPublicKey.Read(session.Cryptoki, publicKey);
        if (made is null || made.Spec != request.Spec)
        {
            DestroyAll(session, KeyReference.Id(temporaryId));
            throw new SigningException(SigningFault.BackendFailed, $"The token made a key that is no {request.Spec}.");
        }

        var id = SetId(session.Cryptoki, [publicKey, privateKey], IdOf(made)) ? IdOf(made) : temporaryId;
        return new BackendKeyPair(KeyReference.Id(id).ToString(), made, ProtectionOf(session, privateKey));
    }

    /// <summary>Takes a private key that is there already, if it can sign and proves that the public key is its own.</summary>
    /// <exception cref="KeyNotHereException">Nothing goes by this reference.</exception>
    public static BackendKeyPair Adopt(TokenSession session, KeySpec spec, KeyReference reference)
    {
        var cryptoki = session.Cryptoki;
        var privateKey = session.Find(CKO_PRIVATE_KEY, reference) switch
        {
            [var only] => only,
            [] => throw new KeyNotHereException("No private key goes by this reference."),
            _ => throw Refused("Several private keys go by this reference: name one as id: with its CKA_ID in hex."),
        };
        if (cryptoki.GetBoolean(privateKey, CKA_SIGN) != true)
            throw Refused("The key must not sign (CKA_SIGN).");
        if (cryptoki.GetBoolean(privateKey, CKA_ALWAYS_AUTHENTICATE) == true)
            throw Refused("The key asks for a PIN at every signature (CKA_ALWAYS_AUTHENTICATE).");
        var publicKey = TokenPublicKey.ReadFor(session, privateKey)
            ?? throw Refused("The token holds no public key or certificate for it of a known spec, with the same CKA_ID.");
        if (publicKey.Spec != spec)
            throw Refused($"The key is {publicKey.Spec}, not {spec}.");
        if (!SigningMechanism.Proves(cryptoki, privateKey, publicKey))
            throw Refused("The public key or certificate with its CKA_ID is another key's.");
        var id = cryptoki.GetAttribute(privateKey, CKA_ID);
        var handle = id is { Length: > 0 } ? KeyReference.Id(id) : reference;
        return new BackendKeyPair(handle.ToString(), publicKey, ProtectionOf(session, privateKey));
    }

    /// <summary>Private and public key; certificates stay. Nothing there is no fault.</summary>
    public static void DestroyAll(TokenSession session, KeyReference reference)
    {
        DestroyAll(session, CKO_PRIVATE_KEY, reference);
        DestroyAll(session, CKO_PUBLIC_KEY, reference);
    }

    public static void DestroyAll(TokenSession session, nuint objectClass, KeyReference reference)
    {
        foreach (var found in session.Find(objectClass, reference))
            session.Cryptoki.DestroyObject(found);
    }

    /// <summary>
    /// Private keys that prove to be the version's own are destroyed, and the public keys that are the version's. What
    /// merely has the same name is left alone, above all where that name is a label.
    /// </summary>
    public static void Destroy(TokenSession session, KeyVersion version, KeyReference reference)
    {
        var foreign = 0;
        foreach (var privateKey in session.Find(CKO_PRIVATE_KEY, reference))
        {
            if (session.Proves(privateKey, version.PublicKey))
                session.Cryptoki.DestroyObject(privateKey);
            else
                foreign++;
        }

        foreach (var publicKey in session.Find(CKO_PUBLIC_KEY, reference))
        {
            var isOwn = TokenPublicKey.Read(session.Cryptoki, publicKey) is { } read
                ? string.Equals(read.Kid, version.PublicKey.Kid, StringComparison.Ordinal)
                : foreign == 0 && reference.IsId;
            if (isOwn)
                session.Cryptoki.DestroyObject(publicKey);
        }
    }

    /// <summary>
    /// Hsm only on hardware, for a private key that the token says cannot be read and never could be.
    /// </summary>
    public static Protection ProtectionOf(TokenSession session, nuint privateKey) =>
        session.IsHardware
        && session.Cryptoki.GetBoolean(privateKey, CKA_SENSITIVE) == true
        && session.Cryptoki.GetBoolean(privateKey, CKA_EXTRACTABLE) == false
        && session.Cryptoki.GetBoolean(privateKey, CKA_ALWAYS_SENSITIVE) == true
        && session.Cryptoki.GetBoolean(privateKey, CKA_NEVER_EXTRACTABLE) == true
            ? Protection.Hsm
            : Protection.Software;

    public static Template PublicTemplate(KeyPairRequest request, byte[] id) =>
        new Template()
            .With(CKA_TOKEN, value: true)
            .With(CKA_PRIVATE, value: false)
            .With(CKA_VERIFY, value: true)
            .With(CKA_ENCRYPT, value: false)
            .With(CKA_WRAP, value: false)
            .With(CKA_LABEL, LabelOf(request))
            .With(CKA_ID, id);

    public static Template PrivateTemplate(KeyPairRequest request, byte[] id) =>
        new Template()
            .With(CKA_TOKEN, value: true)
            .With(CKA_PRIVATE, value: true)
            .With(CKA_SENSITIVE, value: true)
            .With(CKA_EXTRACTABLE, value: false)
            .With(CKA_SIGN, value: true)
            .With(CKA_DECRYPT, value: false)
            .With(CKA_UNWRAP, value: false)
            .With(CKA_SIGN_RECOVER, value: false)
            .With(CKA_DERIVE, value: false)
            .With(CKA_LABEL, LabelOf(request))
            .With(CKA_ID, id);

    /// <returns>False where the token changes no CKA_ID (AWS CloudHSM); then the temporary one, random, stays.</returns>
    private static bool SetId(CryptokiSession session, ReadOnlySpan<nuint> keys, byte[] id)
    {
        using var template = new Template().With(CKA_ID, id);
        try
        {
            foreach (var key in keys)
                session.SetAttribute(key, template);
            return true;
        }
        catch (CryptokiException e) when (e.NotOffered)
        {
            return false;
        }
    }

    private static SigningException Refused(string why) => new(SigningFault.InvalidRequest, why);
}
