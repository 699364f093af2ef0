using System.Security.Cryptography;
using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Backends.Pkcs11.Tokens;
using SignSvc.Signing;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Pkcs11.Keys;

/// <summary>A private key on its way into tokens: checked, and written anew so that tokens get one form of PKCS#8 only.</summary>
internal sealed class ImportedKey : IDisposable
{
    private readonly byte[] _pkcs8;
    private readonly RSAParameters _rsa;
    private readonly ECPoint _point;

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: not PKCS#8, or not of the spec.</exception>
    public ImportedKey(ReadOnlySpan<byte> pkcs8, KeySpec spec)
    {
        using AsymmetricAlgorithm key = spec.Family == KeyFamily.Ecc ? ECDsa.Create() : RSA.Create();
        try
        {
            key.ImportPkcs8PrivateKey(pkcs8, out var read);
            if (read != pkcs8.Length)
                throw new CryptographicException("Bytes follow the key.");
        }
        catch (CryptographicException e)
        {
            throw new SigningException(SigningFault.InvalidRequest, $"Not the PKCS#8 of a private key for {spec}.", e);
        }

        PublicKey = PublicKey.FromSpki(key.ExportSubjectPublicKeyInfo());
        if (PublicKey.Spec != spec)
            throw new SigningException(SigningFault.InvalidRequest, $"The key is {PublicKey.Spec}, not {spec}.");
        if (key is RSA rsa)
            _rsa = rsa.ExportParameters(includePrivateParameters: false);
        else
            _point = ((ECDsa)key).ExportParameters(includePrivateParameters: false).Q;
        _pkcs8 = key.ExportPkcs8PrivateKey();
    }

    public PublicKey PublicKey { get; }

    public ReadOnlySpan<byte> Pkcs8 => _pkcs8;

    /// <summary>CKA_EC_POINT in the standard's form.</summary>
    public byte[] EcPoint
    {
        get
        {
            var writer = new System.Formats.Asn1.AsnWriter(System.Formats.Asn1.AsnEncodingRules.DER);
            writer.WriteOctetString([0x04, .. _point.X!, .. _point.Y!]);
            return writer.Encode();
        }
    }

    public void AddPublicTo(Template template)
    {
        if (PublicKey.Spec.Family == KeyFamily.Ecc)
            template.With(CKA_EC_PARAMS, TokenPublicKey.EcParams(PublicKey.Spec)).With(CKA_EC_POINT, EcPoint);
        else
            template.With(CKA_MODULUS, _rsa.Modulus).With(CKA_PUBLIC_EXPONENT, _rsa.Exponent);
    }

    public void Dispose() => CryptographicOperations.ZeroMemory(_pkcs8);
}

/// <summary>C_UnwrapKey with the mechanisms that tokens have for it, best first.</summary>
internal static unsafe class KeyImport
{
    private const int IvLength = 16;

    /// <summary>
    /// KWP and WRAP_PAD are both RFC 5649 here: that is how SoftHSM and most vendors read the older name, which v2.40
    /// leaves open. CBC_PAD is last, since it does not authenticate; the possession proof after the import stands in.
    /// </summary>
    private static readonly CK_MECHANISM_TYPE[] Mechanisms = [CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD, CKM_AES_CBC_PAD];

    public static nuint Unwrap(TokenSession session, ImportedKey key, Template privateKey)
    {
        CryptokiException? last = null;
        foreach (var mechanism in Mechanisms.Where(session.Connection.Mechanisms.Contains))
        {
            try
            {
                return UnwrapBy(session.Cryptoki, mechanism, key, privateKey);
            }
            catch (CryptokiException e) when (e.Remedy == Remedy.None)
            {
                last = e;
            }
        }

        throw new SigningException(
            SigningFault.Unsupported,
            last is null
                ? $"The token has none of {string.Join(", ", Mechanisms)}: it takes no keys from outside."
                : $"The token does not take the key. {last.Message}",
            last);
    }

    private static nuint UnwrapBy(CryptokiSession session, CK_MECHANISM_TYPE mechanism, ImportedKey key, Template privateKey)
    {
        var secret = GC.AllocateUninitializedArray<byte>(32, pinned: true);
        RandomNumberGenerator.Fill(secret);
        nuint? unwrappingKey = null;
        try
        {
            using var aes = Aes.Create();
            aes.SetKey(secret);
            var iv = stackalloc byte[IvLength];
            RandomNumberGenerator.Fill(new Span<byte>(iv, IvLength));
            var m = new CK_MECHANISM { mechanism = mechanism };
            if (mechanism == CKM_AES_CBC_PAD)
            {
                m.pParameter = iv;
                m.ulParameterLen = IvLength;
            }

            var wrapped = mechanism == CKM_AES_CBC_PAD
                ? aes.EncryptCbc(key.Pkcs8, new ReadOnlySpan<byte>(iv, IvLength))
                : aes.EncryptKeyWrapPadded(key.Pkcs8);
            using var template = new Template()
                .With(CKA_CLASS, CKO_SECRET_KEY)
                .With(CKA_KEY_TYPE, CKK_AES)
                .With(CKA_TOKEN, value: false)
                .With(CKA_UNWRAP, value: true)
                .With(CKA_VALUE, secret);
            unwrappingKey = session.CreateObject(template);
            return UnwrapWith(session, &m, unwrappingKey.Value, wrapped, key, privateKey);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(secret);
            if (unwrappingKey is { } used)
                session.DestroyObject(used);
        }
    }

    private static nuint UnwrapWith(
        CryptokiSession session, CK_MECHANISM* mechanism, nuint unwrappingKey, byte[] wrapped, ImportedKey key, Template privateKey)
    {
        try
        {
            return session.UnwrapKey(mechanism, unwrappingKey, wrapped, privateKey);
        }
        catch (CryptokiException e) when (
            key.PublicKey.Spec.Family == KeyFamily.Ecc
            && e.Rv is CKR_KEY_TYPE_INCONSISTENT or CKR_TEMPLATE_INCOMPLETE or CKR_ATTRIBUTE_TYPE_INVALID)
        {
            // NSS asks for the public value beside an EC private key.
            return session.UnwrapKey(mechanism, unwrappingKey, wrapped, privateKey.With(CKA_NSS_DB, key.EcPoint));
        }
    }
}
