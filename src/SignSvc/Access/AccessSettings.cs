using SignSvc.Access.Certificates;
using SignSvc.Access.Issuers;
using SignSvc.Operations;

namespace SignSvc.Access;

/// <summary>Who may be a caller, beside service credentials.</summary>
public sealed record AccessSettings
{
    /// <summary>Issuers whose bearer tokens are believed. Default: none.</summary>
    [Reloadable]
    public IList<IssuerSettings> Issuers { get; } = [];

    public ClientCertificateSettings ClientCertificates { get; set; } = new();

    /// <summary>People who come as several principals, or whose tokens have no <c>email</c>: of approvals one person gives one.</summary>
    [Reloadable]
    public IList<PersonSettings> People { get; } = [];

    internal IEnumerable<string> Faults() =>
    [
        .. IssuerSettingsCheck.Faults(Issuers), .. ClientCertificates.Faults(),
        .. People.Where(p => p.Name.Length == 0 || p.Principals.Count == 0).Select(_ => "Access:People: a person has a Name and Principals."),
    ];
}
