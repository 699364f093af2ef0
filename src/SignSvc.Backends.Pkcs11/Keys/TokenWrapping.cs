using System.Security.Cryptography;
using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Backends.Pkcs11.Tokens;
using SignSvc.Signing;

namespace SignSvc.Backends.Pkcs11.Keys;

/// <summary>
/// Wraps secrets under an AES-256 key that never leaves the token. What comes out is
/// <c>version ‖ length of CKA_ID ‖ CKA_ID of the wrapping key ‖ body</c>, where the body is one of
/// <list type="bullet">
/// <item>1, AES-GCM: <c>IV (12) ‖ ciphertext ‖ tag (16)</c>. The token encrypts; context and header are associated data.</item>
/// <item>2, AES key wrap, for tokens without GCM: <c>length ‖ wrapped data key ‖ IV (12) ‖ ciphertext ‖ tag (16)</c>. A
/// key wrap takes no associated data. So the token wraps a fresh data key, and the secret is sealed here under that
/// with AES-GCM, whose associated data are context, header and wrapped data key: nothing can be exchanged against
/// another secret's part. The secret is in this process's memory either way.</item>
/// </list>
/// IVs are random. NIST SP 800-38D section 8.3 allows 2^32 of them under one key; volume keys are far fewer.
/// </summary>
internal static unsafe class TokenWrapping
{
    private const byte ByGcm = 1;
    private const byte ByKeyWrap = 2;
    private const int IvLength = 12;
    private const int TagLength = 16;
    private const int KeyLength = 32;
    private const int LongestSecret = 64 * 1024;

    private static readonly byte[] Probe = [0];

    private static readonly CK_MECHANISM_TYPE[] KeyWraps = [CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD, CKM_AES_KEY_WRAP];

    public static byte[] Wrap(TokenSession session, Pkcs11Options options, byte[] secret, byte[] context)
    {
        if (secret.Length is 0 or > LongestSecret)
            throw new SigningException(SigningFault.TooLarge, $"A secret to be wrapped has 1 to {LongestSecret} bytes.");
        var version = Version(session, options);
        var (key, id) = WrappingKey.Find(session, options, byGcm: version == ByGcm);
        return version == ByGcm
            ? SealInToken(session.Cryptoki, key, Header(ByGcm, id), secret, context)
            : SealUnderDataKey(session, key, Header(ByKeyWrap, id), secret, context);
    }

    /// <returns>The handle of the key that wrapped it; null where it is malformed.</returns>
    public static string? HandleOf(byte[] wrapped) =>
        wrapped.Length > 2 && wrapped[1] > 0 && wrapped.Length >= 2 + wrapped[1] ? KeyReference.Id(wrapped[2..(2 + wrapped[1])]).ToString() : null;

    /// <exception cref="KeyNotHereException">This token does not have the wrapping key.</exception>
    public static byte[] Unwrap(TokenSession session, byte[] wrapped, byte[] context)
    {
        if (wrapped.Length < 2 || wrapped[0] is not (ByGcm or ByKeyWrap) || wrapped[1] is 0 || wrapped.Length < 2 + wrapped[1])
            throw NotAuthentic();
        var header = wrapped[..(2 + wrapped[1])];
        var body = wrapped[header.Length..];
        var key = session.Find(CKO_SECRET_KEY, KeyReference.Id(header[2..])) switch
        {
            [var only, ..] => only,
            _ => throw new KeyNotHereException("No token has the key that wrapped this."),
        };
        return header[0] == ByGcm
            ? Open(
                () => OpenInToken(session.Cryptoki, key, header, body, context),
                () => OpenInToken(session.Cryptoki, key, header, SealInToken(session.Cryptoki, key, header, Probe, context)[header.Length..], context))
            : Open(
                () => OpenUnderDataKey(session, key, header, body, context),
                () => OpenUnderDataKey(session, key, header, SealUnderDataKey(session, key, header, Probe, context)[header.Length..], context));
    }

    /// <summary>
    /// Tells a ciphertext that does not authenticate from a token that fails. Some modules (SoftHSM) answer both with
    /// CKR_GENERAL_ERROR: then one that was sealed just now is opened. If the token fails at that as well, it is the token;
    /// else the first one gets another try, and it was no accident when that fails too.
    /// </summary>
    /// <exception cref="CryptokiException">The token failed.</exception>
    private static byte[] Open(Func<byte[]> open, Func<byte[]> openProbe)
    {
        try
        {
            return open();
        }
        catch (CryptokiException e) when (MeansTampering(e))
        {
            throw NotAuthentic(e);
        }
        catch (CryptokiException e) when (SaysNothing(e))
        {
            openProbe();
        }

        try
        {
            return open();
        }
        catch (CryptokiException e) when (MeansTampering(e) || SaysNothing(e))
        {
            throw NotAuthentic(e);
        }
    }

    private static byte Version(TokenSession session, Pkcs11Options options)
    {
        var gcm = session.Connection.Mechanisms.Contains(CKM_AES_GCM);
        var keyWrap = KeyWraps.Any(session.Connection.Mechanisms.Contains);
        return options.Wrapping switch
        {
            Pkcs11Wrapping.Auto or Pkcs11Wrapping.AesGcm when gcm => ByGcm,
            Pkcs11Wrapping.Auto or Pkcs11Wrapping.AesKeyWrap when keyWrap => ByKeyWrap,
            _ => throw new SigningException(SigningFault.Unsupported, $"The token has no mechanism for wrapping: {options.Wrapping}."),
        };
    }

    private static byte[] Header(byte version, byte[] id) => [version, (byte)id.Length, .. id];

    private static byte[] SealInToken(CryptokiSession session, nuint key, byte[] header, byte[] secret, byte[] context)
    {
        var iv = RandomNumberGenerator.GetBytes(IvLength);
        byte[] associated = [.. header, .. context];
        fixed (byte* pIv = iv, pAssociated = associated)
        {
            var parameters = GcmParameters(pIv, pAssociated, associated.Length);
            var mechanism = new CK_MECHANISM
            {
                mechanism = CKM_AES_GCM,
                pParameter = &parameters,
                ulParameterLen = (nuint)sizeof(CK_GCM_PARAMS),
            };
            var sealedSecret = session.Encrypt(&mechanism, key, secret, secret.Length + TagLength);
            // Some HSMs draw the IV themselves and write it over ours, which is therefore read after the call.
            return [.. header, .. iv, .. sealedSecret];
        }
    }

    private static byte[] OpenInToken(
        CryptokiSession session, nuint key, byte[] header, byte[] body, byte[] context)
    {
        if (body.Length <= IvLength + TagLength)
            throw NotAuthentic();
        byte[] associated = [.. header, .. context];
        fixed (byte* pIv = body, pAssociated = associated)
        {
            var parameters = GcmParameters(pIv, pAssociated, associated.Length);
            var mechanism = new CK_MECHANISM
            {
                mechanism = CKM_AES_GCM,
                pParameter = &parameters,
                ulParameterLen = (nuint)sizeof(CK_GCM_PARAMS),
            };
            return session.Decrypt(&mechanism, key, body.AsSpan(IvLength));
        }
    }

    private static CK_GCM_PARAMS GcmParameters(byte* iv, byte* associated, int associatedLength) => new()
    {
        pIv = iv,
        ulIvLen = IvLength,
        ulIvBits = IvLength * 8,
        pAAD = associated,
        ulAADLen = (nuint)associatedLength,
        ulTagBits = TagLength * 8,
    };

    private static byte[] SealUnderDataKey(TokenSession session, nuint key, byte[] header, byte[] secret, byte[] context)
    {
        var dataKey = GC.AllocateUninitializedArray<byte>(KeyLength, pinned: true);
        nuint? inToken = null;
        try
        {
            RandomNumberGenerator.Fill(dataKey);
            using var template = DataKeyTemplate().With(CKA_VALUE, dataKey);
            inToken = session.Cryptoki.CreateObject(template);
            var wrappedKey = session.Cryptoki.WrapKey(KeyWrap(session), key, inToken.Value, longest: 255);
            byte[] prefix = [.. header, (byte)wrappedKey.Length, .. wrappedKey];
            var iv = RandomNumberGenerator.GetBytes(IvLength);
            var ciphertext = new byte[secret.Length];
            var tag = new byte[TagLength];
            using var gcm = new AesGcm(dataKey, TagLength);
            byte[] associated = [.. prefix, .. context];
            gcm.Encrypt(iv, secret, ciphertext, tag, associated);
            return [.. prefix, .. iv, .. ciphertext, .. tag];
        }
        finally
        {
            CryptographicOperations.ZeroMemory(dataKey);
            if (inToken is { } used)
                session.Cryptoki.DestroyObject(used);
        }
    }

    private static byte[] OpenUnderDataKey(
        TokenSession session, nuint key, byte[] header, byte[] body, byte[] context)
    {
        if (body.Length == 0 || body.Length <= 1 + body[0] + IvLength + TagLength)
            throw NotAuthentic();
        var prefix = body.AsSpan(0, 1 + body[0]);
        var box = body.AsSpan(prefix.Length);
        byte[]? dataKey = null;
        nuint? inToken = null;
        var secret = GC.AllocateUninitializedArray<byte>(box.Length - IvLength - TagLength, pinned: true);
        try
        {
            using var template = DataKeyTemplate();
            var mechanism = new CK_MECHANISM { mechanism = KeyWrap(session) };
            inToken = session.Cryptoki.UnwrapKey(&mechanism, key, prefix[1..], template);
            dataKey = session.Cryptoki.GetAttribute(inToken.Value, CKA_VALUE);
            if (dataKey is not { Length: KeyLength })
                throw NotAuthentic();
            using var gcm = new AesGcm(dataKey, TagLength);
            byte[] associated = [.. header, .. prefix, .. context];
            gcm.Decrypt(box[..IvLength], box[IvLength..^TagLength], box[^TagLength..], secret, associated);
            return secret;
        }
        catch (AuthenticationTagMismatchException e)
        {
            throw NotAuthentic(e);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(dataKey);
            if (inToken is { } used)
                session.Cryptoki.DestroyObject(used);
        }
    }

    /// <summary>A session object that can be read: the data key's place is this process, the token only wraps it.</summary>
    private static Template DataKeyTemplate() =>
        new Template()
            .With(CKA_CLASS, CKO_SECRET_KEY)
            .With(CKA_KEY_TYPE, CKK_AES)
            .With(CKA_TOKEN, value: false)
            .With(CKA_SENSITIVE, value: false)
            .With(CKA_EXTRACTABLE, value: true);

    private static CK_MECHANISM_TYPE KeyWrap(TokenSession session) => KeyWraps.First(session.Connection.Mechanisms.Contains);

    private static bool MeansTampering(CryptokiException e) =>
        e.Rv is CKR_WRAPPED_KEY_INVALID or CKR_WRAPPED_KEY_LEN_RANGE or CKR_ENCRYPTED_DATA_INVALID or CKR_ENCRYPTED_DATA_LEN_RANGE
            or CKR_AEAD_DECRYPT_FAILED;

    private static bool SaysNothing(CryptokiException e) => e.Rv is CKR_GENERAL_ERROR or CKR_FUNCTION_FAILED;

    private static SigningException NotAuthentic(Exception? inner = null) =>
        new(SigningFault.BackendFailed, "The wrapped key was tampered with, or belongs to another context or wrapping key.", inner);
}
