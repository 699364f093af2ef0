using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace SignSvc.Access.Certificates;

/// <summary>Roots, intermediates and revocation lists as the files had them at one time. Immutable.</summary>
internal sealed class ClientTrust
{
    private const string ClientAuth = "1.3.6.1.5.5.7.3.2";

    /// <summary>SHA-1 and MD5 with RSA, SHA-1 with ECDSA: collisions can be made.</summary>
    private static readonly string[] BrokenSignatures = ["1.2.840.113549.1.1.4", "1.2.840.113549.1.1.5", "1.2.840.10045.4.1"];

    private readonly X509Certificate2Collection _roots = [];
    private readonly X509Certificate2Collection _intermediates = [];
    private readonly ImmutableArray<RevocationList>? _lists;

    /// <exception cref="InvalidDataException">A file does not hold what it should.</exception>
    public ClientTrust(byte[] ca, byte[]? crl)
    {
        try
        {
            var all = new X509Certificate2Collection();
            all.ImportFromPem(System.Text.Encoding.UTF8.GetString(ca));
            foreach (var certificate in all)
                (IsSelfIssued(certificate) ? _roots : _intermediates).Add(certificate);
        }
        catch (CryptographicException e)
        {
            throw new InvalidDataException("CaFile does not hold certificates in PEM.", e);
        }

        if (_roots.Count == 0)
            throw new InvalidDataException("CaFile holds no self-signed certificate: no root to trust.");
        _lists = crl is null ? null : RevocationList.ReadAll(crl);
    }

    /// <summary>Builds the chain to one of the roots; nothing is downloaded and the system's roots count for nothing.</summary>
    /// <param name="validUntil">From then on it has to be asked again.</param>
    /// <returns>Null where it is trusted, else why not.</returns>
    public string? Refuse(X509Certificate2 leaf, X509Certificate2Collection sent, DateTimeOffset now, out DateTimeOffset validUntil)
    {
        validUntil = DateTimeOffset.MaxValue;
        if (IsSelfIssued(leaf) || leaf.Extensions.OfType<X509BasicConstraintsExtension>().Any(b => b.CertificateAuthority))
            return "its certificate is a CA's or its own";
        if (!leaf.Extensions.OfType<X509EnhancedKeyUsageExtension>().Any(e => e.EnhancedKeyUsages.Cast<Oid>().Any(o => string.Equals(o.Value, ClientAuth, StringComparison.Ordinal))))
            return "its certificate is not for client authentication";
        if (leaf.Extensions.OfType<X509KeyUsageExtension>().FirstOrDefault() is { } usage && !usage.KeyUsages.HasFlag(X509KeyUsageFlags.DigitalSignature))
            return "its certificate's key is not for signatures";

        using var chain = new X509Chain { ChainPolicy = Policy(sent, now) };
        try
        {
            if (!chain.Build(leaf))
                return $"its certificate has no good chain: {string.Join(", ", chain.ChainStatus.Select(s => s.Status))}";
            return RefuseChain([.. chain.ChainElements.Select(e => e.Certificate)], now, ref validUntil);
        }
        finally
        {
            foreach (var element in chain.ChainElements)
                element.Certificate.Dispose();
        }
    }

    private string? RefuseChain(X509Certificate2[] chain, DateTimeOffset now, ref DateTimeOffset validUntil)
    {
        validUntil = chain.Min(c => new DateTimeOffset(c.NotAfter));
        for (var i = 0; i < chain.Length - 1; i++)
        {
            if (BrokenSignatures.Contains(chain[i].SignatureAlgorithm.Value, StringComparer.Ordinal))
                return "its chain is signed with SHA-1 or MD5";
            if (_lists is not { } lists)
                continue;
            var issuer = chain[i + 1];
            var current = lists.Where(l => l.IsCurrent(now) && l.IsOf(issuer)).ToArray();
            if (current.Length == 0)
                return "there is no current revocation list of a CA of its chain";
            if (current.Any(l => l.Revokes(chain[i].SerialNumber)))
                return "its certificate, or one of its chain, is revoked";
            var next = current.Min(l => l.NextUpdate);
            validUntil = next < validUntil ? next : validUntil;
        }

        return null;
    }

    private X509ChainPolicy Policy(X509Certificate2Collection sent, DateTimeOffset now)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
            VerificationTime = now.UtcDateTime,
            VerificationTimeIgnored = false,
        };
        policy.CustomTrustStore.AddRange(_roots);
        policy.ExtraStore.AddRange(_intermediates);
        policy.ExtraStore.AddRange(sent);
        policy.ApplicationPolicy.Add(new Oid(ClientAuth));
        return policy;
    }

    private static bool IsSelfIssued(X509Certificate2 c) => c.SubjectName.RawData.AsSpan().SequenceEqual(c.IssuerName.RawData);
}
