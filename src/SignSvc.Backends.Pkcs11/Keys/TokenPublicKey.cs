using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Backends.Pkcs11.Tokens;
using SignSvc.Signing;
using SignSvc.Signing.Keys;
using PublicKey = SignSvc.Signing.Keys.PublicKey;

namespace SignSvc.Backends.Pkcs11.Keys;

/// <summary>Puts a SubjectPublicKeyInfo together from what a token shows of a key pair.</summary>
internal static class TokenPublicKey
{
    /// <summary>From a CKO_PUBLIC_KEY object.</summary>
    /// <returns>Null where it is a key of no known spec, or hides what it consists of.</returns>
    public static PublicKey? Read(CryptokiSession session, nuint publicKey) =>
        session.GetNumber(publicKey, CKA_KEY_TYPE) switch
        {
            CKK_RSA => ReadRsa(session, publicKey),
            CKK_EC => ReadEc(session, publicKey),
            _ => null,
        };

    /// <summary>
    /// For a private key: its own attributes where they tell (RSA), else the public key or the certificate beside it
    /// (same CKA_ID). Nothing here is believed: the caller has the private key prove that it belongs to the answer.
    /// </summary>
    public static PublicKey? ReadFor(TokenSession session, nuint privateKey)
    {
        var cryptoki = session.Cryptoki;
        if (cryptoki.GetAttribute(privateKey, CKA_PUBLIC_KEY_INFO) is { Length: > 0 } spki && TryRead(spki) is { } stated)
            return stated;
        if (cryptoki.GetNumber(privateKey, CKA_KEY_TYPE) == CKK_RSA && ReadRsa(cryptoki, privateKey) is { } rsa)
            return rsa;
        if (cryptoki.GetAttribute(privateKey, CKA_ID) is not { Length: > 0 } id)
            return null;
        foreach (var publicKey in session.Find(CKO_PUBLIC_KEY, KeyReference.Id(id)))
        {
            if (Read(cryptoki, publicKey) is { } beside)
                return beside;
        }

        foreach (var certificate in session.Find(CKO_CERTIFICATE, KeyReference.Id(id)))
        {
            if (cryptoki.GetAttribute(certificate, CKA_VALUE) is { } der && ReadCertificate(der) is { } certified)
                return certified;
        }

        return null;
    }

    /// <summary>CKA_EC_PARAMS of a named curve: its object identifier in DER.</summary>
    public static byte[] EcParams(KeySpec spec)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        writer.WriteObjectIdentifier(spec.Curve.Oid.Value!);
        return writer.Encode();
    }

    /// <summary>
    /// CKA_EC_POINT is the DER of an OCTET STRING that holds the uncompressed point (v2.40 mechanisms, section 2.3.3);
    /// modules that follow older readings give the point bare. The two differ in length for every curve here.
    /// </summary>
    public static ReadOnlySpan<byte> Point(ReadOnlySpan<byte> ecPoint, KeySpec spec)
    {
        var length = 1 + (2 * spec.FieldLength);
        if (ecPoint.Length == length && ecPoint[0] == 0x04)
            return ecPoint;
        try
        {
            var point = AsnDecoder.ReadOctetString(ecPoint, AsnEncodingRules.DER, out var consumed);
            return consumed == ecPoint.Length && point.Length == length && point[0] == 0x04 ? point : [];
        }
        catch (AsnContentException)
        {
            return [];
        }
    }

    private static PublicKey? ReadRsa(CryptokiSession session, nuint key)
    {
        var modulus = session.GetAttribute(key, CKA_MODULUS);
        var exponent = session.GetAttribute(key, CKA_PUBLIC_EXPONENT);
        if (modulus is not { Length: > 0 } || exponent is not { Length: > 0 })
            return null;
        try
        {
            using var rsa = RSA.Create(new RSAParameters
            {
                Modulus = modulus.AsSpan().TrimStart((byte)0).ToArray(),
                Exponent = exponent.AsSpan().TrimStart((byte)0).ToArray(),
            });
            return TryRead(rsa.ExportSubjectPublicKeyInfo());
        }
        catch (CryptographicException)
        {
            return null;
        }
    }

    private static PublicKey? ReadEc(CryptokiSession session, nuint key)
    {
        var parameters = session.GetAttribute(key, CKA_EC_PARAMS);
        var ecPoint = session.GetAttribute(key, CKA_EC_POINT);
        if (parameters is null || ecPoint is null)
            return null;
        foreach (var spec in KeySpec.All.Where(s => s.Family == KeyFamily.Ecc))
        {
            if (!parameters.AsSpan().SequenceEqual(EcParams(spec)) || Point(ecPoint, spec) is not { IsEmpty: false } point)
                continue;
            try
            {
                using var ec = ECDsa.Create(new ECParameters
                {
                    Curve = spec.Curve,
                    Q = new ECPoint { X = point[1..(1 + spec.FieldLength)].ToArray(), Y = point[(1 + spec.FieldLength)..].ToArray() },
                });
                return TryRead(ec.ExportSubjectPublicKeyInfo());
            }
            catch (CryptographicException)
            {
                // Not a point of the curve.
                return null;
            }
        }

        return null;
    }

    private static PublicKey? ReadCertificate(byte[] der)
    {
        try
        {
            using var certificate = X509CertificateLoader.LoadCertificate(der);
            return TryRead(certificate.PublicKey.ExportSubjectPublicKeyInfo());
        }
        catch (CryptographicException)
        {
            return null;
        }
    }

    private static PublicKey? TryRead(ReadOnlySpan<byte> spki)
    {
        try
        {
            return PublicKey.FromSpki(spki);
        }
        catch (SigningException)
        {
            return null;
        }
    }
}
