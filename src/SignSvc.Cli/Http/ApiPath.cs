using System.Text;

namespace SignSvc.Cli.Http;

/// <summary>Addresses within the API, with every part of them escaped.</summary>
internal static class ApiPath
{
    public static string Key(string key) => $"/v1/keys/{Segment("key", key)}";

    /// <summary>The slashes of an alias are slashes of the address.</summary>
    public static string Alias(string alias) =>
        $"/v1/aliases/{string.Join('/', alias.Split('/').Select(part => Segment("alias", part)))}";

    public static string Profile(string profile) => $"/v1/profiles/{Segment("profile", profile)}";

    public static string Credential(string credential) => $"/v1/credentials/{Segment("credential", credential)}";

    public static string Policy(string policy) => $"/v1/policies/{Segment("policy", policy)}";

    public static string Grant(string key, string grant) => $"{Key(key)}/grants/{Segment("grant", grant)}";

    public static string Approval(string approval) => $"/v1/approvals/{Segment("approval", approval)}";

    public static string ApprovalRule(string rule) => $"/v1/approval-rules/{Segment("rule", rule)}";

    /// <summary>Appends the parameters that have a value.</summary>
    public static string WithQuery(string path, params ReadOnlySpan<(string Name, string? Value)> parameters)
    {
        var text = new StringBuilder(path);
        var separator = '?';
        foreach (var (name, value) in parameters)
        {
            if (value is null)
                continue;
            text.Append(separator).Append(name).Append('=').Append(Uri.EscapeDataString(value));
            separator = '&';
        }

        return text.ToString();
    }

    /// <summary>A segment that is empty or dots would make another address of the whole (RFC 3986 section 5.2.4).</summary>
    private static string Segment(string what, string value) =>
        value is "" or "." or ".."
            ? throw CommandException.Usage($"'{value}' is no name of a {what}.")
            : Uri.EscapeDataString(value);
}
