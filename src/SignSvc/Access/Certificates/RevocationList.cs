using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace SignSvc.Access.Certificates;

/// <summary>
/// A certificate revocation list (RFC 5280 section 5). .NET checks lists only where it may download them; this service
/// downloads nothing on a stranger's word, so it reads the lists that its operator gives it. Deltas, indirect lists and
/// other critical extensions are refused.
/// </summary>
internal sealed class RevocationList
{
    private const string IssuingDistributionPoint = "2.5.29.28";

    private readonly byte[] _signed;
    private readonly byte[] _signature;
    private readonly string _algorithm;
    private readonly FrozenSet<string> _serials;

    private RevocationList(byte[] signed, byte[] signature, string algorithm, Body body)
    {
        _signed = signed;
        _signature = signature;
        _algorithm = algorithm;
        _serials = body.Serials;
        Issuer = body.Issuer;
        ThisUpdate = body.ThisUpdate;
        NextUpdate = body.NextUpdate;
    }

    /// <summary>The CA's name, DER.</summary>
    public byte[] Issuer { get; }

    public DateTimeOffset ThisUpdate { get; }

    public DateTimeOffset NextUpdate { get; }

    /// <summary>All lists of a file, PEM or one in DER.</summary>
    /// <exception cref="InvalidDataException">There is none, or one cannot be read.</exception>
    public static ImmutableArray<RevocationList> ReadAll(byte[] file)
    {
        try
        {
            if (file is [0x30, ..])
                return [Parse(file)];
            var lists = ImmutableArray.CreateBuilder<RevocationList>();
            var text = System.Text.Encoding.UTF8.GetString(file).AsSpan();
            while (PemEncoding.TryFind(text, out var fields))
            {
                if (text[fields.Label] is not "X509 CRL")
                    throw new InvalidDataException($"It holds a {text[fields.Label]}.");
                lists.Add(Parse(Convert.FromBase64String(text[fields.Base64Data].ToString())));
                text = text[fields.Location.End..];
            }

            return lists.Count > 0 ? lists.ToImmutable() : throw new InvalidDataException("It holds no revocation list.");
        }
        catch (AsnContentException e)
        {
            throw new InvalidDataException("A revocation list cannot be read.", e);
        }
    }

    public bool IsCurrent(DateTimeOffset now) => ThisUpdate <= now && now < NextUpdate;

    /// <param name="serial">In hex, upper case, as <see cref="X509Certificate2.SerialNumber"/>.</param>
    public bool Revokes(string serial) => _serials.Contains(serial.TrimStart('0'));

    /// <summary>Whether this CA issued the list, by name and by signature.</summary>
    public bool IsOf(X509Certificate2 ca)
    {
        if (!ca.SubjectName.RawData.AsSpan().SequenceEqual(Issuer))
            return false;
        if (ca.Extensions.OfType<X509KeyUsageExtension>().FirstOrDefault() is { } usage && !usage.KeyUsages.HasFlag(X509KeyUsageFlags.CrlSign))
            return false;
        var (hash, isEcdsa) = _algorithm switch
        {
            "1.2.840.113549.1.1.11" => (HashAlgorithmName.SHA256, false),
            "1.2.840.113549.1.1.12" => (HashAlgorithmName.SHA384, false),
            "1.2.840.113549.1.1.13" => (HashAlgorithmName.SHA512, false),
            "1.2.840.10045.4.3.2" => (HashAlgorithmName.SHA256, true),
            "1.2.840.10045.4.3.3" => (HashAlgorithmName.SHA384, true),
            "1.2.840.10045.4.3.4" => (HashAlgorithmName.SHA512, true),
            _ => throw new InvalidDataException($"A revocation list is signed with an algorithm that is not known here: {_algorithm}."),
        };
        using var rsa = ca.GetRSAPublicKey();
        using var ec = ca.GetECDsaPublicKey();
        return isEcdsa
            ? ec?.VerifyData(_signed, _signature, hash, DSASignatureFormat.Rfc3279DerSequence) == true
            : rsa?.VerifyData(_signed, _signature, hash, RSASignaturePadding.Pkcs1) == true;
    }

    private static RevocationList Parse(byte[] der)
    {
        var file = new AsnReader(der, AsnEncodingRules.DER);
        var list = file.ReadSequence();
        file.ThrowIfNotEmpty();
        var signed = list.PeekEncodedValue().ToArray();
        var body = ReadBody(list.ReadSequence());
        var algorithm = list.ReadSequence().ReadObjectIdentifier();
        var signature = list.ReadBitString(out _);
        list.ThrowIfNotEmpty();
        return string.Equals(algorithm, body.Algorithm, StringComparison.Ordinal)
            ? new RevocationList(signed, signature, algorithm, body)
            : throw new InvalidDataException("A revocation list names two algorithms.");
    }

    /// <summary>TBSCertList, RFC 5280 section 5.1.</summary>
    private static Body ReadBody(AsnReader body)
    {
        // Version 1 has no version.
        if (body.PeekTag().HasSameClassAndValue(Asn1Tag.Integer))
            _ = body.ReadInteger();
        var algorithm = body.ReadSequence().ReadObjectIdentifier();
        var issuer = body.ReadEncodedValue().ToArray();
        var thisUpdate = ReadTime(body);
        if (!body.HasData || !IsTime(body.PeekTag()))
            throw new InvalidDataException("A revocation list does not say when the next one comes.");
        var nextUpdate = ReadTime(body);
        var serials = new HashSet<string>(StringComparer.Ordinal);
        if (body.HasData && body.PeekTag().HasSameClassAndValue(Asn1Tag.Sequence))
        {
            var entries = body.ReadSequence();
            while (entries.HasData)
                serials.Add(ReadEntry(entries.ReadSequence()));
        }

        var extensions = new Asn1Tag(TagClass.ContextSpecific, 0);
        if (body.HasData && body.PeekTag().HasSameClassAndValue(extensions))
            RefuseCritical(body.ReadSequence(extensions).ReadSequence());
        return new Body(algorithm, issuer, thisUpdate, nextUpdate, serials.ToFrozenSet(StringComparer.Ordinal));
    }

    private static string ReadEntry(AsnReader entry)
    {
        var serial = Convert.ToHexString(entry.ReadIntegerBytes().Span).TrimStart('0');
        _ = ReadTime(entry);
        if (entry.HasData)
            RefuseCritical(entry.ReadSequence());
        return serial;
    }

    /// <summary>A list that is about something else than all certificates of its issuer says so by a critical extension.</summary>
    private static void RefuseCritical(AsnReader extensions)
    {
        while (extensions.HasData)
        {
            var extension = extensions.ReadSequence();
            var oid = extension.ReadObjectIdentifier();
            var isCritical = extension.PeekTag().HasSameClassAndValue(Asn1Tag.Boolean) && extension.ReadBoolean();
            if (isCritical || string.Equals(oid, IssuingDistributionPoint, StringComparison.Ordinal))
                throw new InvalidDataException($"A revocation list has an extension that is not understood here: {oid}.");
        }
    }

    private static bool IsTime(Asn1Tag tag) => tag.HasSameClassAndValue(Asn1Tag.UtcTime) || tag.HasSameClassAndValue(Asn1Tag.GeneralizedTime);

    private static DateTimeOffset ReadTime(AsnReader reader) =>
        reader.PeekTag().HasSameClassAndValue(Asn1Tag.UtcTime) ? reader.ReadUtcTime() : reader.ReadGeneralizedTime();

    private sealed record Body(string Algorithm, byte[] Issuer, DateTimeOffset ThisUpdate, DateTimeOffset NextUpdate, FrozenSet<string> Serials);
}
