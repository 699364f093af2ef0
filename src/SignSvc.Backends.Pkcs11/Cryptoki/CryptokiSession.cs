using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using SignSvc.Signing;
using static SignSvc.Backends.Pkcs11.Cryptoki.CryptokiModule;

namespace SignSvc.Backends.Pkcs11.Cryptoki;

/// <summary>
/// One session. PKCS#11 allows one operation in a session at a time: an instance belongs to one thread. Buffers are
/// sized before the call and what the module says it wrote is checked against them.
/// </summary>
internal sealed unsafe class CryptokiSession(CryptokiModule module, nuint handle)
{
    private const int MostObjects = 10_000;
    private const int LongestAttribute = 64 * 1024;

    private readonly CK_FUNCTION_LIST* _f = module.Functions;
    private volatile bool _usurped;
    private bool _closed;

    public nuint Handle => handle;

    public bool IsUsurped => _usurped;

    /// <summary>
    /// The module gave this session's number to a new session, so this one is gone without anybody having been told.
    /// What two threads did under one number is worthless.
    /// </summary>
    public void Usurp() => _usurped = true;

    /// <summary>What goes wrong is of no interest: the session is given up either way.</summary>
    /// <param name="isDead">The module has said that it knows the session no more.</param>
    public void Close(bool isDead = false)
    {
        if (_closed)
            return;
        _closed = true;
        if (module.Forget(this) && !isDead)
            _ = _f->C_CloseSession(handle);
        module.SessionClosed();
    }

    /// <param name="pin">Null where the token has a PIN pad of its own (CKF_PROTECTED_AUTHENTICATION_PATH).</param>
    public void Login(byte[]? pin)
    {
        CK_RV rv;
        fixed (byte* p = pin)
            rv = _f->C_Login(handle, CKU_USER, p, (nuint)(pin?.Length ?? 0));
        if (rv != CKR_USER_ALREADY_LOGGED_IN)
            Check(rv, "C_Login");
    }

    public bool IsLoggedIn()
    {
        CK_SESSION_INFO info;
        Check(_f->C_GetSessionInfo(handle, &info), "C_GetSessionInfo");
        return info.state is CKS_RO_USER_FUNCTIONS or CKS_RW_USER_FUNCTIONS;
    }

    public (nuint PublicKey, nuint PrivateKey) GenerateKeyPair(CK_MECHANISM_TYPE mechanism, Template publicKey, Template privateKey)
    {
        var m = new CK_MECHANISM { mechanism = mechanism };
        nuint publicHandle, privateHandle;
        Check(
            _f->C_GenerateKeyPair(
                handle, &m, publicKey.Attributes, publicKey.Count, privateKey.Attributes, privateKey.Count,
                &publicHandle, &privateHandle),
            "C_GenerateKeyPair");
        return (publicHandle, privateHandle);
    }

    public nuint GenerateKey(CK_MECHANISM_TYPE mechanism, Template template)
    {
        var m = new CK_MECHANISM { mechanism = mechanism };
        nuint key;
        Check(_f->C_GenerateKey(handle, &m, template.Attributes, template.Count, &key), "C_GenerateKey");
        return key;
    }

    public nuint CreateObject(Template template)
    {
        nuint created;
        Check(_f->C_CreateObject(handle, template.Attributes, template.Count, &created), "C_CreateObject");
        return created;
    }

    public void DestroyObject(nuint target) => Check(_f->C_DestroyObject(handle, target), "C_DestroyObject");

    public List<nuint> FindObjects(Template template)
    {
        const int page = 64;
        var found = new List<nuint>();
        Check(_f->C_FindObjectsInit(handle, template.Attributes, template.Count), "C_FindObjectsInit");
        try
        {
            var handles = stackalloc nuint[page];
            nuint count;
            do
            {
                Check(_f->C_FindObjects(handle, handles, page, &count), "C_FindObjects");
                for (nuint i = 0; i < Math.Min(count, page); i++)
                    found.Add(handles[i]);
            }
            while (count > 0 && found.Count < MostObjects);
        }
        finally
        {
            _ = _f->C_FindObjectsFinal(handle);
        }

        return found;
    }

    /// <returns>Null where the object has no such attribute or will not show it.</returns>
    public byte[]? GetAttribute(nuint target, CK_ATTRIBUTE_TYPE type)
    {
        var attribute = new CK_ATTRIBUTE { type = type };
        var rv = _f->C_GetAttributeValue(handle, target, &attribute, 1);
        if (rv is CKR_ATTRIBUTE_TYPE_INVALID or CKR_ATTRIBUTE_SENSITIVE)
            return null;
        Check(rv, "C_GetAttributeValue");
        if (attribute.ulValueLen == CK_UNAVAILABLE_INFORMATION)
            return null;
        if (attribute.ulValueLen > LongestAttribute)
            throw new SigningException(SigningFault.BackendFailed, $"The token's {type} is longer than {LongestAttribute} bytes.");
        var value = new byte[attribute.ulValueLen];
        fixed (byte* p = value)
        {
            attribute.pValue = p;
            Check(_f->C_GetAttributeValue(handle, target, &attribute, 1), "C_GetAttributeValue");
        }

        return attribute.ulValueLen == (nuint)value.Length ? value : value[..(int)attribute.ulValueLen];
    }

    /// <returns>Null where the object has no such attribute.</returns>
    public bool? GetBoolean(nuint target, CK_ATTRIBUTE_TYPE type) => GetAttribute(target, type) is [var value] ? value != 0 : null;

    public nuint? GetNumber(nuint target, CK_ATTRIBUTE_TYPE type) =>
        GetAttribute(target, type) is { } value && value.Length == sizeof(nuint) ? Unsafe.ReadUnaligned<nuint>(ref value[0]) : null;

    public void SetAttribute(nuint target, Template template) =>
        Check(_f->C_SetAttributeValue(handle, target, template.Attributes, template.Count), "C_SetAttributeValue");

    /// <returns>Bytes written to <paramref name="signature"/>.</returns>
    public int Sign(CK_MECHANISM* mechanism, nuint key, ReadOnlySpan<byte> data, Span<byte> signature)
    {
        var length = (nuint)signature.Length;
        Check(_f->C_SignInit(handle, mechanism, key), "C_SignInit");
        fixed (byte* d = data, s = signature)
            Check(_f->C_Sign(handle, d, (nuint)data.Length, s, &length), "C_Sign");
        return Written(length, signature.Length);
    }

    public byte[] Encrypt(CK_MECHANISM* mechanism, nuint key, ReadOnlySpan<byte> plaintext, int ciphertextLength)
    {
        var ciphertext = new byte[ciphertextLength];
        var length = (nuint)ciphertextLength;
        Check(_f->C_EncryptInit(handle, mechanism, key), "C_EncryptInit");
        fixed (byte* p = plaintext, c = ciphertext)
            Check(_f->C_Encrypt(handle, p, (nuint)plaintext.Length, c, &length), "C_Encrypt");
        if (Written(length, ciphertextLength) != ciphertextLength)
            throw new SigningException(SigningFault.BackendFailed, "C_Encrypt wrote another length than the mechanism's.");
        return ciphertext;
    }

    /// <summary>The buffer is as long as the ciphertext, which no mechanism here exceeds, and is zeroed behind the copy.</summary>
    public byte[] Decrypt(CK_MECHANISM* mechanism, nuint key, ReadOnlySpan<byte> ciphertext)
    {
        var plaintext = GC.AllocateUninitializedArray<byte>(ciphertext.Length, pinned: true);
        try
        {
            var length = (nuint)plaintext.Length;
            Check(_f->C_DecryptInit(handle, mechanism, key), "C_DecryptInit");
            fixed (byte* c = ciphertext, p = plaintext)
                Check(_f->C_Decrypt(handle, c, (nuint)ciphertext.Length, p, &length), "C_Decrypt");
            return plaintext[..Written(length, plaintext.Length)];
        }
        finally
        {
            CryptographicOperations.ZeroMemory(plaintext);
        }
    }

    public byte[] WrapKey(CK_MECHANISM_TYPE mechanism, nuint wrappingKey, nuint key, int longest)
    {
        var m = new CK_MECHANISM { mechanism = mechanism };
        var wrapped = new byte[longest];
        var length = (nuint)longest;
        fixed (byte* w = wrapped)
            Check(_f->C_WrapKey(handle, &m, wrappingKey, key, w, &length), "C_WrapKey");
        return wrapped[..Written(length, longest)];
    }

    public nuint UnwrapKey(CK_MECHANISM* mechanism, nuint unwrappingKey, ReadOnlySpan<byte> wrapped, Template template)
    {
        nuint key;
        fixed (byte* w = wrapped)
        {
            Check(
                _f->C_UnwrapKey(handle, mechanism, unwrappingKey, w, (nuint)wrapped.Length, template.Attributes, template.Count, &key),
                "C_UnwrapKey");
        }

        return key;
    }

    private static int Written(nuint length, int buffer) =>
        length <= (nuint)buffer
            ? (int)length
            : throw new SigningException(SigningFault.BackendFailed, "The module says it wrote more than the buffer holds.");
}
