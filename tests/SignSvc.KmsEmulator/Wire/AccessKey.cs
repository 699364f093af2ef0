namespace SignSvc.Emulation.Wire;

/// <summary>An access key that the emulator knows.</summary>
public sealed record AccessKey(string Id, string AccountId)
{
    public const string DefaultAccountId = "111122223333";

    /// <summary>When set, the signatures of requests are verified with it; else their form alone is checked.</summary>
    public string? Secret { get; init; }

    /// <summary>Who holds the key, as error messages and GetCallerIdentity name them.</summary>
    public string PrincipalArn { get; init; } = $"arn:aws:iam::{AccountId}:user/emulator";

    /// <summary>Reads <c>ID:ACCOUNT</c> or <c>ID:ACCOUNT:SECRET</c>, the form of the command line.</summary>
    /// <exception cref="FormatException">It has another form.</exception>
    public static AccessKey Parse(string text)
    {
        var parts = text.Split(':', 3);
        if (parts.Length < 2 || !IsAccountId(parts[1]))
            throw new FormatException(
                "An access key is written ID:ACCOUNT or ID:ACCOUNT:SECRET; an account has 12 digits.");
        return new AccessKey(parts[0], parts[1]) { Secret = parts.Length == 3 ? parts[2] : null };
    }

    /// <summary>
    /// Where no access keys are configured, any is accepted: one of 12 digits names its account, others belong to
    /// <see cref="DefaultAccountId"/>.
    /// </summary>
    internal static AccessKey Implied(string id) => new(id, IsAccountId(id) ? id : DefaultAccountId);

    private static bool IsAccountId(string text) => text.Length == 12 && text.All(char.IsAsciiDigit);
}
