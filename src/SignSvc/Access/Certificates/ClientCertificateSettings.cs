using SignSvc.Access.Issuers;
using SignSvc.Operations;
using SignSvc.Signing.Access;

namespace SignSvc.Access.Certificates;

/// <summary>Whether and whose client certificates are believed, on every https address.</summary>
public sealed record ClientCertificateSettings
{
    /// <summary>PEM certificates: the self-signed ones are the only roots that are trusted, others help to build chains. Read again when it changes. Null: clients are not asked for certificates.</summary>
    public string? CaFile { get; set; }

    /// <summary>PEM or DER revocation lists, read again when they change. If it is named, every CA of a chain needs a current list in it: an outdated list locks its CA's callers out.</summary>
    public string? CrlFile { get; set; }

    /// <summary>SPIFFE trust domains that are accepted. Empty: whatever the CAs vouch for.</summary>
    [Reloadable]
    public IList<string> TrustDomains { get; } = [];

    /// <summary>Roles for callers whose claims fit. Default: none; policies decide.</summary>
    [Reloadable]
    public IList<RoleMapping> Roles { get; } = [];

    internal IEnumerable<string> Faults()
    {
        if (CaFile is null && (CrlFile is not null || TrustDomains.Count > 0 || Roles.Count > 0))
            yield return "Access:ClientCertificates: CrlFile, TrustDomains and Roles go with CaFile.";
        foreach (var file in new[] { CaFile, CrlFile }.OfType<string>().Where(f => !File.Exists(f)))
            yield return $"Access:ClientCertificates: the file {file} is not there.";
        foreach (var domain in TrustDomains.Where(d => !SpiffeId.IsTrustDomain(d)))
            yield return $"Access:ClientCertificates:TrustDomains: '{domain}' is no SPIFFE trust domain, such as acme.example.";
        foreach (var mapping in Roles)
        {
            if (!Enum.IsDefined(mapping.Role))
                yield return $"Access:ClientCertificates:Roles: Role is one of {string.Join(", ", Enum.GetNames<Role>())}.";
            if (mapping.When.Any(c => string.IsNullOrWhiteSpace(c.Claim) || c.Values.Any(string.IsNullOrEmpty)))
                yield return "Access:ClientCertificates:Roles: a condition names a Claim, and Values that are not empty.";
        }
    }
}
