using SignSvc.Access.Issuers;

namespace SignSvc.Access;

/// <summary>Who may be a caller, beside service credentials.</summary>
public sealed record AccessSettings
{
    /// <summary>Issuers whose bearer tokens are believed. Default: none.</summary>
    public IList<IssuerSettings> Issuers { get; } = [];

    internal IEnumerable<string> Faults() => IssuerSettingsCheck.Faults(Issuers);
}
