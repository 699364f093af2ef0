using System.Collections.Immutable;

namespace SignSvc.Access.Issuers;

/// <summary>Kinds of issuers whose habits are known.</summary>
public enum IssuerPreset
{
    None,

    /// <summary>Actions of github.com; name the Issuer for GitHub Enterprise Server.</summary>
    GitHubActions,

    /// <summary>Pipelines of gitlab.com; name the Issuer for a GitLab of your own.</summary>
    GitLab,

    /// <summary>Projected service account tokens; name the cluster's Issuer.</summary>
    Kubernetes,

    /// <summary>Identity tokens of Google service accounts.</summary>
    Google,

    /// <summary>Workload and managed identities of one Entra tenant; name its Issuer.</summary>
    Entra,
}

/// <param name="Issuer">Empty where it differs from customer to customer.</param>
/// <param name="Audience">The default; empty where the platform chooses it.</param>
/// <param name="Types">Values of <c>typ</c>, as <see cref="IssuerSettings.Typ"/>.</param>
/// <param name="Required">Claims without which a token is not of the kind that is meant.</param>
/// <param name="Identifying">Claims that tell one customer of a shared issuer from another; empty where all callers are one's own.</param>
internal sealed record PresetDefaults(
    string Issuer, string Audience, ImmutableArray<string> Types, ImmutableArray<string> Required, ImmutableArray<string> Identifying);

internal static class IssuerPresets
{
    /// <summary>In <see cref="IssuerSettings.Typ"/>: tokens without the header.</summary>
    public const string Absent = "absent";

    private const string Audience = "signsvc";

    private static readonly PresetDefaults None = new("", "", ["jwt", "at+jwt", Absent], [], []);

    private static readonly PresetDefaults GitHubActions = new(
        "https://token.actions.githubusercontent.com", Audience, ["jwt"],
        ["repository", "repository_id", "repository_owner", "ref", "run_id", "workflow_ref"],
        ["sub", "repository", "repository_id", "repository_owner", "repository_owner_id", "enterprise", "enterprise_id", "job_workflow_ref"]);

    private static readonly PresetDefaults GitLab = new(
        "https://gitlab.com", Audience, ["jwt"],
        ["project_id", "project_path", "namespace_id", "namespace_path", "ref", "ref_type", "pipeline_id"],
        ["sub", "project_id", "project_path", "namespace_id", "namespace_path"]);

    /// <summary>The API server writes no <c>typ</c>; only an external signer does.</summary>
    private static readonly PresetDefaults Kubernetes = new(
        "", Audience, ["jwt", Absent], ["kubernetes.io.namespace", "kubernetes.io.serviceaccount.name", "kubernetes.io.serviceaccount.uid"], []);

    private static readonly PresetDefaults Google = new(
        "https://accounts.google.com", Audience, ["jwt"], ["azp"], ["sub", "email", "hd"]);

    /// <summary>The audience is the application that the tenant registered for this service.</summary>
    private static readonly PresetDefaults Entra = new("", "", ["jwt", "at+jwt"], ["oid", "tid"], []);

    public static PresetDefaults Of(IssuerPreset preset) => preset switch
    {
        IssuerPreset.GitHubActions => GitHubActions,
        IssuerPreset.GitLab => GitLab,
        IssuerPreset.Kubernetes => Kubernetes,
        IssuerPreset.Google => Google,
        IssuerPreset.Entra => Entra,
        _ => None,
    };

    public static string IssuerOf(IssuerSettings settings) => settings.Issuer.Length > 0 ? settings.Issuer : Of(settings.Preset).Issuer;

    public static IReadOnlyList<string> AudiencesOf(IssuerSettings settings)
    {
        if (settings.Audiences.Count > 0)
            return [.. settings.Audiences];
        var standard = Of(settings.Preset).Audience;
        return standard.Length > 0 ? [standard] : [];
    }

    /// <summary>
    /// Whether a role goes to fewer than everybody who can get a token at an issuer that serves the whole world. Wildcards
    /// count only behind a slash: <c>acme*</c> also fits whoever registers acme-too.
    /// </summary>
    public static bool Narrows(IssuerSettings settings, RoleMapping mapping)
    {
        var preset = Of(settings.Preset);
        var isShared = preset.Identifying.Length > 0 && string.Equals(IssuerOf(settings), preset.Issuer, StringComparison.Ordinal);
        return !isShared || mapping.When.Concat(settings.Require).Any(c =>
            preset.Identifying.Contains(c.Claim, StringComparer.Ordinal) && c.Values.Count > 0 && c.Values.All(NamesSomebody));
    }

    private static bool NamesSomebody(string pattern)
    {
        var wildcard = pattern.AsSpan().IndexOfAny('*', '?');
        return wildcard < 0 || pattern.AsSpan(0, wildcard).Contains('/');
    }
}
