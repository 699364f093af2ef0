using System.Collections.Immutable;
using System.Formats.Asn1;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace SignSvc.Access.Certificates;

/// <summary>A certificate's subject alternative names (RFC 5280 section 4.2.1.6) of the kinds that name callers.</summary>
internal sealed record AlternativeNames(
    ImmutableArray<string> Uris, ImmutableArray<string> Dns, ImmutableArray<string> Emails, ImmutableArray<string> Addresses)
{
    private const string Oid = "2.5.29.17";
    private const int MaxNames = 100;

    private static readonly Asn1Tag Email = new(TagClass.ContextSpecific, 1);
    private static readonly Asn1Tag DnsName = new(TagClass.ContextSpecific, 2);
    private static readonly Asn1Tag Uri = new(TagClass.ContextSpecific, 6);
    private static readonly Asn1Tag Address = new(TagClass.ContextSpecific, 7);

    /// <exception cref="CryptographicException">The extension is there twice, or is not what it says.</exception>
    public static AlternativeNames Of(X509Certificate2 certificate)
    {
        var extensions = certificate.Extensions.Where(e => string.Equals(e.Oid?.Value, Oid, StringComparison.Ordinal)).ToArray();
        if (extensions.Length > 1)
            throw new CryptographicException("The certificate has its alternative names twice.");
        var (uris, dns, emails, addresses) = (new List<string>(), new List<string>(), new List<string>(), new List<string>());
        if (extensions.Length == 1)
            Read(extensions[0].RawData);
        return uris.Count + dns.Count + emails.Count + addresses.Count <= MaxNames
            ? new AlternativeNames([.. uris], [.. dns], [.. emails], [.. addresses])
            : throw new CryptographicException($"The certificate has more than {MaxNames} names.");

        void Read(byte[] der)
        {
            try
            {
                var reader = new AsnReader(der, AsnEncodingRules.DER);
                var names = reader.ReadSequence();
                reader.ThrowIfNotEmpty();
                while (names.HasData)
                {
                    var tag = names.PeekTag();
                    if (tag.HasSameClassAndValue(Uri))
                        uris.Add(names.ReadCharacterString(UniversalTagNumber.IA5String, tag));
                    else if (tag.HasSameClassAndValue(DnsName))
                        dns.Add(names.ReadCharacterString(UniversalTagNumber.IA5String, tag));
                    else if (tag.HasSameClassAndValue(Email))
                        emails.Add(names.ReadCharacterString(UniversalTagNumber.IA5String, tag));
                    else if (tag.HasSameClassAndValue(Address) && names.ReadOctetString(tag) is { Length: 4 or 16 } bytes)
                        addresses.Add(new IPAddress(bytes).ToString());
                    else
                        _ = names.ReadEncodedValue();
                }
            }
            catch (AsnContentException e)
            {
                throw new CryptographicException("The certificate's alternative names cannot be read.", e);
            }
        }
    }
}
