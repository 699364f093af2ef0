using SignSvc.Access.Certificates;
using SignSvc.Access.Issuers;

namespace SignSvc.Access;

/// <summary>Who may be a caller, beside service credentials.</summary>
public sealed record AccessSettings
{
    /// <summary>Issuers whose bearer tokens are believed. Default: none.</summary>
    public IList<IssuerSettings> Issuers { get; } = [];

    public ClientCertificateSettings ClientCertificates { get; set; } = new();

    internal IEnumerable<string> Faults() => [.. IssuerSettingsCheck.Faults(Issuers), .. ClientCertificates.Faults()];
}
