using System.Collections.Immutable;
using System.IO.Enumeration;
using SignSvc.Signing.Access;
using SignSvc.Signing.Keys;

namespace SignSvc.Access.Issuers;

/// <summary>One issuer of OIDC bearer tokens that is believed. Nothing in a token can add another.</summary>
public sealed record IssuerSettings
{
    /// <summary>Its name in principals (<c>oidc:NAME:SUB</c>); see the rule for names. Renaming it renames its callers.</summary>
    public string Name { get; set; } = "";

    /// <summary>Defaults for a well-known kind of issuer; see <see cref="IssuerPreset"/>.</summary>
    public IssuerPreset Preset { get; set; }

    /// <summary>The claim <c>iss</c>, to the letter, and where discovery starts. Default: the preset's.</summary>
    public string Issuer { get; set; } = "";

    /// <summary>One of these has to be in <c>aud</c>. Default of a preset: <c>signsvc</c>. A shared audience lets another service's tokens in.</summary>
    public IList<string> Audiences { get; } = [];

    /// <summary>Asymmetric JWS algorithms. Default: RS256 and ES256.</summary>
    public IList<string> Algorithms { get; } = [];

    /// <summary>Values of the header <c>typ</c>; <c>absent</c> for tokens without it. Default: JWT, at+jwt, absent.</summary>
    public IList<string> Typ { get; } = [];

    /// <summary>A JWK set in a file, read again when it changes: no network is used. Excludes JwksUrl and DiscoveryUrl.</summary>
    public string? JwksFile { get; set; }

    /// <summary>Where the JWK set is, where discovery is not wanted.</summary>
    public string? JwksUrl { get; set; }

    /// <summary>The discovery document, where it is not at the issuer's own place. Its <c>issuer</c> must still be the setting's.</summary>
    public string? DiscoveryUrl { get; set; }

    /// <summary>PEM certificates that alone vouch for the issuer's TLS. Default: the system's.</summary>
    public string? CaFile { get; set; }

    /// <summary>A bearer token to fetch with (Kubernetes), read each time; sent to the configured addresses only.</summary>
    public string? TokenFile { get; set; }

    /// <summary>How far the issuer's clock may be off; 0 to 300. Longer, and an expired token lives on.</summary>
    public int ClockSkewSeconds { get; set; } = 60;

    /// <summary>Tokens that outlive now by more are refused; 60 to 31622400.</summary>
    public int MaxLifetimeSeconds { get; set; } = 86_400;

    /// <summary>How often its keys are fetched; 30 to 86400. A key that the issuer withdraws is believed for as long.</summary>
    public int RefreshSeconds { get; set; } = 600;

    /// <summary>How long the last good keys are believed while the issuer cannot be reached; 60 to 604800.</summary>
    public int KeepSeconds { get; set; } = 86_400;

    /// <summary>Every one has to hold, else the token is refused.</summary>
    public IList<ClaimCondition> Require { get; } = [];

    /// <summary>Roles for callers whose claims fit. Default: none; policies decide.</summary>
    public IList<RoleMapping> Roles { get; } = [];
}

/// <summary>A claim by its flat name, and patterns (<c>*</c>, <c>?</c>) of which one of its values has to fit one.</summary>
public sealed record ClaimCondition
{
    public string Claim { get; set; } = "";

    /// <summary>Empty: any value.</summary>
    public IList<string> Values { get; } = [];

    internal bool Holds(IReadOnlyDictionary<string, ImmutableArray<string>> claims) =>
        claims.TryGetValue(Claim, out var values)
        && (Values.Count == 0 || Values.Any(p => values.Any(v => FileSystemName.MatchesSimpleExpression(p, v, ignoreCase: false))));
}

/// <summary>A role for callers whose claims meet all conditions.</summary>
public sealed record RoleMapping
{
    public Role Role { get; set; } = (Role)(-1);

    public IList<ClaimCondition> When { get; } = [];
}

/// <summary>Finds what is wrong with the settings of issuers.</summary>
internal static class IssuerSettingsCheck
{
    public const int MaxIssuers = 100;

    public static IEnumerable<string> Faults(IList<IssuerSettings> issuers)
    {
        if (issuers.Count > MaxIssuers)
            yield return $"Access:Issuers: there are at most {MaxIssuers}.";
        for (var i = 0; i < issuers.Count; i++)
        {
            foreach (var fault in Faults(issuers[i]))
                yield return $"Access:Issuers:{i}: {fault}";
        }

        foreach (var name in Twice(issuers.Select(s => s.Name)))
            yield return $"Access:Issuers: two have the Name '{name}'.";
        foreach (var issuer in Twice(issuers.Select(IssuerPresets.IssuerOf)))
            yield return $"Access:Issuers: two have the Issuer '{issuer}'. Name all its Audiences in one.";
    }

    private static IEnumerable<string> Faults(IssuerSettings s)
    {
        var issuer = IssuerPresets.IssuerOf(s);
        if (!KeyName.IsValid(s.Name))
            yield return "Name must match [a-z0-9][a-z0-9._-]{0,62}.";
        if (issuer.Length == 0)
            yield return "Issuer is missing: the claim iss, to the letter.";
        else if (s.JwksFile is null && s.JwksUrl is null && s.DiscoveryUrl is null && !TrustedUrl.IsAllowed(issuer))
            yield return "Issuer is no https URL (http only on this machine): name a JwksFile, a JwksUrl or a DiscoveryUrl.";
        if (IssuerPresets.AudiencesOf(s).Count == 0)
            yield return "Audiences is missing: what tokens for this service carry in aud.";
        if (s.Audiences.Concat(s.Typ).Any(string.IsNullOrWhiteSpace))
            yield return "Audiences and Typ hold no empty texts.";
        foreach (var algorithm in s.Algorithms.Where(a => !SigningAlgorithm.TryParse(a, out _)))
            yield return $"Algorithms cannot hold '{algorithm}': asymmetric ones only, {string.Join(", ", SigningAlgorithm.All)}.";
        if (new[] { s.JwksFile, s.JwksUrl, s.DiscoveryUrl }.Count(p => p is not null) > 1)
            yield return "JwksFile, JwksUrl and DiscoveryUrl exclude each other.";
        foreach (var url in new[] { s.JwksUrl, s.DiscoveryUrl }.OfType<string>().Where(u => !TrustedUrl.IsAllowed(u)))
            yield return $"'{url}' is no https URL (http only on this machine).";
        foreach (var file in new[] { s.JwksFile, s.CaFile, s.TokenFile }.OfType<string>().Where(f => !File.Exists(f)))
            yield return $"the file {file} is not there.";
        if (s.ClockSkewSeconds is < 0 or > 300)
            yield return "ClockSkewSeconds is from 0 to 300.";
        if (s.MaxLifetimeSeconds is < 60 or > 31_622_400)
            yield return "MaxLifetimeSeconds is from 60 to 31622400.";
        if (s.RefreshSeconds is < 30 or > 86_400)
            yield return "RefreshSeconds is from 30 to 86400.";
        if (s.KeepSeconds is < 60 or > 604_800 || s.KeepSeconds < s.RefreshSeconds)
            yield return "KeepSeconds is from 60 to 604800 and no shorter than RefreshSeconds.";
        if (s.Require.Concat(s.Roles.SelectMany(r => r.When)).Any(c => string.IsNullOrWhiteSpace(c.Claim) || c.Values.Any(string.IsNullOrEmpty)))
            yield return "a condition names a Claim, and Values that are not empty.";
        foreach (var mapping in s.Roles)
        {
            if (!Enum.IsDefined(mapping.Role))
                yield return $"Roles: Role is one of {string.Join(", ", Enum.GetNames<Role>())}.";
            if (!IssuerPresets.Narrows(s, mapping))
                yield return $"Roles: {mapping.Role} would go to everybody whom {issuer} knows. Add a condition in When on one of {string.Join(", ", IssuerPresets.Of(s.Preset).Identifying)}, without a pattern that fits all.";
        }
    }

    private static IEnumerable<string> Twice(IEnumerable<string> names) =>
        names.GroupBy(n => n, StringComparer.Ordinal).Where(g => g.Key.Length > 0 && g.Skip(1).Any()).Select(g => g.Key);
}
