using System.Formats.Asn1;
using System.Numerics;

namespace SignSvc.Signing.Keys;

/// <summary>How an ECDSA signature is written; RSA signatures look the same in both.</summary>
public enum SignatureEncoding
{
    /// <summary>ASN.1 DER <c>SEQUENCE { r INTEGER, s INTEGER }</c> (RFC 3279 section 2.2.3): AWS KMS, cosign, openssl.</summary>
    Der,

    /// <summary>IEEE P1363 r‖s of fixed width (RFC 7518 section 3.4): JWS, notation, PKCS#11.</summary>
    P1363,
}

/// <summary>Turns ECDSA signatures from DER to r‖s and back. SignSvc holds r‖s; DER exists at the edges.</summary>
public static class EcdsaEncoding
{
    public static byte[] ToDer(ReadOnlySpan<byte> p1363)
    {
        var half = p1363.Length / 2;
        var writer = new AsnWriter(AsnEncodingRules.DER, initialCapacity: p1363.Length + 16);
        using (writer.PushSequence())
        {
            WriteUnsigned(writer, p1363[..half]);
            WriteUnsigned(writer, p1363[half..]);
        }

        return writer.Encode();
    }

    /// <summary>Strict DER only: no trailing bytes, no negative numbers, no number wider than the field.</summary>
    /// <returns>False where <paramref name="der"/> is not such a signature.</returns>
    public static bool TryFromDer(ReadOnlySpan<byte> der, int fieldLength, out byte[] p1363)
    {
        p1363 = new byte[2 * fieldLength];
        try
        {
            var valid = AsnDecoder.TryReadEncodedValue(der, AsnEncodingRules.DER, out _, out _, out _, out var consumed)
                && consumed == der.Length;
            if (!valid)
                return false;
            AsnDecoder.ReadSequence(der, AsnEncodingRules.DER, out var offset, out var length, out _);
            var content = der.Slice(offset, length);
            var r = AsnDecoder.ReadIntegerBytes(content, AsnEncodingRules.DER, out var used);
            content = content[used..];
            var s = AsnDecoder.ReadIntegerBytes(content, AsnEncodingRules.DER, out used);
            return used == content.Length
                && TryCopyUnsigned(r, p1363.AsSpan(0, fieldLength))
                && TryCopyUnsigned(s, p1363.AsSpan(fieldLength));
        }
        catch (AsnContentException)
        {
            return false;
        }
    }

    private static void WriteUnsigned(AsnWriter writer, ReadOnlySpan<byte> value)
    {
        value = value.TrimStart((byte)0);
        if (value.IsEmpty)
            writer.WriteInteger(BigInteger.Zero);
        else
            writer.WriteIntegerUnsigned(value);
    }

    private static bool TryCopyUnsigned(ReadOnlySpan<byte> value, Span<byte> field)
    {
        if ((value[0] & 0x80) != 0)
            return false;
        value = value.TrimStart((byte)0);
        if (value.Length > field.Length)
            return false;
        value.CopyTo(field[(field.Length - value.Length)..]);
        return true;
    }
}
