using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;

namespace SignSvc.Signing.Keys;

/// <summary>Certificates of a version's public key, for verifiers who ask a certificate authority: <c>x5c</c> (RFC 7517 section 4.7).</summary>
public sealed class CertificateChains(KeyEdits edits, TimeProvider time)
{
    private const int MaxCertificates = 6;
    private const int MaxPemLength = 32 * 1024;

    /// <summary>Attaches a chain to a version, leaf first; an empty text takes it off.</summary>
    /// <exception cref="SigningException">
    /// <see cref="SigningFault.InvalidRequest"/>: no certificates, another key's leaf, a certificate that the next one did
    /// not sign, one that is not valid now. And as <see cref="KeyEdits.ApplyAsync"/>.
    /// </exception>
    public Task<Key> PutAsync(Caller caller, string reference, int number, string pem, CancellationToken cancellationToken) =>
        edits.ApplyAsync(
            caller, Actions.KeysUpdate, reference, $"certificate chain of version {number}",
            key =>
            {
                var version = key.Version(number) ?? throw new SigningException(SigningFault.NotFound, "There is no such version of this key.");
                return ValueTask.FromResult(key.With(version with { CertificateChain = Parse(pem, version.PublicKey, time.GetUtcNow()) }));
            },
            cancellationToken,
            key => ApprovalSubject.OfKey(
                Actions.KeysUpdate, key, ("version", number.ToString(CultureInfo.InvariantCulture)), ("chain", ApprovalSubject.Fingerprint(pem))));

    private static ImmutableArray<string> Parse(string pem, PublicKey key, DateTimeOffset now)
    {
        if (pem.Length > MaxPemLength)
            throw Invalid($"A chain has at most {MaxPemLength} characters.");
        if (string.IsNullOrWhiteSpace(pem))
            return [];
        var chain = new X509Certificate2Collection();
        try
        {
            chain.ImportFromPem(pem);
            if (chain.Count is 0 or > MaxCertificates)
                throw Invalid($"A chain has from 1 to {MaxCertificates} certificates in PEM.");
            if (!chain[0].PublicKey.ExportSubjectPublicKeyInfo().AsSpan().SequenceEqual(key.Spki.Span))
                throw Invalid("The first certificate is not of this version's public key.");
            CheckLinks(chain, now);
            return [.. chain.Select(c => Convert.ToBase64String(c.RawData))];
        }
        catch (CryptographicException e)
        {
            throw new SigningException(SigningFault.InvalidRequest, "The chain holds something that is no certificate.", e);
        }
        finally
        {
            foreach (var certificate in chain)
                certificate.Dispose();
        }
    }

    /// <summary>Each was signed by the next and is valid now. Whom the last one trusts is the verifier's affair; nothing is fetched.</summary>
    private static void CheckLinks(X509Certificate2Collection certificates, DateTimeOffset now)
    {
        using var chain = new X509Chain
        {
            ChainPolicy =
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
                DisableCertificateDownloads = true,
                VerificationFlags = X509VerificationFlags.AllowUnknownCertificateAuthority,
                VerificationTime = now.UtcDateTime,
                VerificationTimeIgnored = false,
            },
        };
        chain.ChainPolicy.CustomTrustStore.Add(certificates[^1]);
        foreach (var certificate in certificates.Skip(1))
            chain.ChainPolicy.ExtraStore.Add(certificate);
        var isWhole = chain.Build(certificates[0])
            && chain.ChainElements.Select(e => e.Certificate.Thumbprint).SequenceEqual(certificates.Select(c => c.Thumbprint), StringComparer.Ordinal);
        var faults = string.Join(", ", chain.ChainStatus.Select(s => s.Status).Distinct());
        foreach (var element in chain.ChainElements)
            element.Certificate.Dispose();
        if (!isWhole)
            throw Invalid($"The certificates are no chain, leaf first, that is valid now{(faults.Length > 0 ? $": {faults}" : "")}.");
    }

    private static SigningException Invalid(string message) => new(SigningFault.InvalidRequest, message);
}
