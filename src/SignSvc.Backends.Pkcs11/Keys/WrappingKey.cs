using System.Security.Cryptography;
using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Backends.Pkcs11.Tokens;
using SignSvc.Signing;

namespace SignSvc.Backends.Pkcs11.Keys;

/// <summary>The AES-256 key in the token under which others are wrapped.</summary>
internal static class WrappingKey
{
    private const int KeyLength = 32;
    private const int IdLength = 16;

    /// <summary>The key with the configured label, made on first use. Where two nodes make one each, both unwrap: the CKA_ID is in the header.</summary>
    /// <exception cref="SigningException">Only keys with that label are there that may not guard others.</exception>
    public static (nuint Key, byte[] Id) Find(TokenSession session, Pkcs11Options options, bool byGcm)
    {
        var cryptoki = session.Cryptoki;
        string? unfit = null;
        foreach (var found in session.Find(CKO_SECRET_KEY, KeyReference.Label(options.WrappingKeyLabel)))
        {
            if (cryptoki.GetAttribute(found, CKA_ID) is not { Length: > 0 and <= 255 } held)
                continue;
            unfit = session.SoundWrappingKey == found ? null : WhyUnfit(cryptoki, found, byGcm);
            if (unfit is not null)
                continue;
            session.SoundWrappingKey = found;
            return (found, held);
        }

        if (unfit is not null)
        {
            throw new SigningException(
                SigningFault.BackendFailed,
                $"The key {options.WrappingKeyLabel} in the token {session.TokenName} is not used to wrap: {unfit}. "
                + "Give it another label, or configure another WrappingKeyLabel: a right one is made on first use.");
        }

        var id = RandomNumberGenerator.GetBytes(IdLength);
        using var template = new Template()
            .With(CKA_TOKEN, value: true)
            .With(CKA_PRIVATE, value: true)
            .With(CKA_SENSITIVE, value: true)
            .With(CKA_EXTRACTABLE, value: false)
            .With(CKA_ENCRYPT, value: true)
            .With(CKA_DECRYPT, value: true)
            .With(CKA_WRAP, value: true)
            .With(CKA_UNWRAP, value: true)
            .With(CKA_VALUE_LEN, (nuint)KeyLength)
            .With(CKA_LABEL, options.WrappingKeyLabel)
            .With(CKA_ID, id);
        return (cryptoki.GenerateKey(CKM_AES_KEY_GEN, template), id);
    }

    /// <summary>Whatever made it: a wrapping key that can be taken out of the token is worth nothing, trusted hardware or not.</summary>
    private static string? WhyUnfit(CryptokiSession session, nuint key, bool byGcm)
    {
        var faults = new List<string>();
        var length = session.GetNumber(key, CKA_VALUE_LEN);
        if (session.GetNumber(key, CKA_KEY_TYPE) != CKK_AES)
            faults.Add("it is no AES key (CKA_KEY_TYPE)");
        else if (length is not (null or KeyLength))
            faults.Add($"it is AES-{length * 8}, not AES-{KeyLength * 8} (CKA_VALUE_LEN)");
        if (session.GetBoolean(key, CKA_SENSITIVE) != true)
            faults.Add("it is not sensitive (CKA_SENSITIVE)");
        if (session.GetBoolean(key, CKA_EXTRACTABLE) != false)
            faults.Add("it is extractable (CKA_EXTRACTABLE)");
        CK_ATTRIBUTE_TYPE[] uses = byGcm ? [CKA_ENCRYPT, CKA_DECRYPT] : [CKA_WRAP, CKA_UNWRAP];
        faults.AddRange(uses.Where(use => session.GetBoolean(key, use) != true).Select(use => $"it lacks {use}"));
        return faults.Count == 0 ? null : string.Join(", ", faults);
    }
}
