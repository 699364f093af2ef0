using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace SignSvc.Callers.Tests;

/// <summary>What a certificate of the tests is like; the defaults are good.</summary>
public sealed record CertificateWish
{
    public string Subject { get; init; } = "CN=builder";

    public IReadOnlyList<string> Uris { get; init; } = [];

    public IReadOnlyList<string> Dns { get; init; } = [];

    public IReadOnlyList<string> Usages { get; init; } = ["1.3.6.1.5.5.7.3.2"];

    public TimeSpan From { get; init; } = TimeSpan.FromHours(-1);

    public TimeSpan Until { get; init; } = TimeSpan.FromHours(1);

    public bool IsAuthority { get; init; }

    /// <summary>Where it says that its issuer's certificate can be downloaded.</summary>
    public string? IssuerUrl { get; init; }
}

/// <summary>A CA of the tests: makes certificates and revocation lists.</summary>
public sealed class TestAuthority
{
    private readonly X509Certificate2 _certificate;

    public TestAuthority(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = Request(key, new CertificateWish { Subject = name, IsAuthority = true, Usages = [] });
        _certificate = request.CreateSelfSigned(Now(TimeSpan.FromDays(-1)), Now(TimeSpan.FromDays(1)));
    }

    private TestAuthority(X509Certificate2 certificate) => _certificate = certificate;

    public string Pem => _certificate.ExportCertificatePem();

    public X509Certificate2 Certificate => _certificate;

    public TestAuthority Intermediate(string name) =>
        new(Issue(new CertificateWish { Subject = name, IsAuthority = true, Usages = [], Until = TimeSpan.FromHours(12) }));

    /// <summary>With its private key, in the form that TLS takes.</summary>
    public X509Certificate2 Issue(CertificateWish wish)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var made = Request(key, wish, _certificate).Create(
            _certificate, Now(wish.From), Now(wish.Until), [0x01, .. RandomNumberGenerator.GetBytes(15)]);
        using var withKey = made.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(withKey.Export(X509ContentType.Pkcs12), password: null);
    }

    public string RevocationList(TimeSpan next, params X509Certificate2[] revoked)
    {
        var builder = new CertificateRevocationListBuilder();
        foreach (var certificate in revoked)
            builder.AddEntry(certificate);
        // The builder wants lists that end after they begin; one that is over began long ago.
        var list = builder.Build(_certificate, 1, Now(next), HashAlgorithmName.SHA256, thisUpdate: Now(TimeSpan.FromHours(-3)));
        return PemEncoding.WriteString("X509 CRL", list);
    }

    private static CertificateRequest Request(ECDsa key, CertificateWish wish, X509Certificate2? issuer = null)
    {
        var request = new CertificateRequest(wish.Subject, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(wish.IsAuthority, hasPathLengthConstraint: false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(
            wish.IsAuthority ? X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign : X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        if (issuer is not null)
            request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(issuer, includeKeyIdentifier: true, includeIssuerAndSerial: false));
        if (wish.Usages.Count > 0)
        {
            var usages = new OidCollection();
            foreach (var usage in wish.Usages)
                usages.Add(new Oid(usage));
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension(usages, critical: false));
        }

        if (wish.Uris.Count + wish.Dns.Count > 0)
        {
            var names = new SubjectAlternativeNameBuilder();
            foreach (var uri in wish.Uris)
                names.AddUri(new Uri(uri, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
            foreach (var dns in wish.Dns)
                names.AddDnsName(dns);
            names.AddIpAddress(IPAddress.Loopback);
            request.CertificateExtensions.Add(names.Build());
        }

        if (wish.IssuerUrl is { } url)
            request.CertificateExtensions.Add(new X509AuthorityInformationAccessExtension([], [url]));
        return request;
    }

    private static DateTimeOffset Now(TimeSpan offset) => TimeProvider.System.GetUtcNow() + offset;
}
