using System.Collections.Immutable;
using System.Text.Json;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Access.Policies;

/// <summary>
/// Reads policies as AWS KMS has them (<c>Version: 2012-10-17</c>) into our own words. What has no equal here is refused by
/// its statement: a policy that means less than it says is worse than none.
/// </summary>
internal static class AwsPolicy
{
    private static readonly (string Aws, string Own)[] ActionTable =
    [
        ("kms:Sign", Actions.KeysSign), ("kms:Verify", Actions.KeysVerify),
        ("kms:GetPublicKey", Actions.KeysRead), ("kms:DescribeKey", Actions.KeysRead), ("kms:GetKeyRotationStatus", Actions.KeysRead),
        ("kms:ListResourceTags", Actions.KeysRead), ("kms:ListKeys", Actions.KeysList), ("kms:ListAliases", Actions.KeysList),
        ("kms:CreateKey", Actions.KeysCreate), ("kms:EnableKey", Actions.KeysEnable), ("kms:DisableKey", Actions.KeysDisable),
        ("kms:UpdateKeyDescription", Actions.KeysUpdate), ("kms:TagResource", Actions.KeysUpdate), ("kms:UntagResource", Actions.KeysUpdate),
        ("kms:EnableKeyRotation", Actions.KeysUpdate), ("kms:DisableKeyRotation", Actions.KeysUpdate),
        ("kms:RotateKeyOnDemand", Actions.KeysRotate), ("kms:GetParametersForImport", Actions.KeysImport),
        ("kms:ImportKeyMaterial", Actions.KeysImport), ("kms:ScheduleKeyDeletion", Actions.KeysScheduleDeletion),
        ("kms:CancelKeyDeletion", Actions.KeysCancelDeletion), ("kms:CreateAlias", Actions.AliasesPut), ("kms:UpdateAlias", Actions.AliasesPut),
        ("kms:DeleteAlias", Actions.AliasesDelete), ("kms:PutKeyPolicy", Actions.PoliciesPut), ("kms:GetKeyPolicy", Actions.PoliciesRead),
        ("kms:ListKeyPolicies", Actions.PoliciesRead), ("kms:CreateGrant", Actions.GrantsCreate), ("kms:ListGrants", Actions.GrantsRead),
        ("kms:ListRetirableGrants", Actions.GrantsRead), ("kms:RevokeGrant", Actions.GrantsRevoke), ("kms:RetireGrant", Actions.GrantsRetire),
    ];

    private static readonly Dictionary<string, string> FactTable = new(StringComparer.OrdinalIgnoreCase)
    {
        ["aws:SourceIp"] = "request.address",
        ["aws:CurrentTime"] = "request.time",
        ["aws:EpochTime"] = "request.time",
        ["kms:KeySpec"] = "key.spec",
    };

    private static readonly (string Prefix, string Own)[] OpenFacts =
    [
        ("kms:EncryptionContext:", "context."), ("aws:ResourceTag/", "key.tags."),
    ];

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, naming the statement.</exception>
    public static PolicyDocument Translate(JsonElement json)
    {
        var members = PolicyReader.Members(json, "The policy", "Version", "Id", "Statement");
        PolicyReader.Require(
            members.GetValueOrDefault("Version") is { ValueKind: JsonValueKind.String } version && version.ValueEquals("2012-10-17"),
            "The Version of a policy in AWS's form is 2012-10-17.");
        PolicyReader.Require(members.TryGetValue("Statement", out var list), "The policy has no Statement.");
        var statements = list.ValueKind == JsonValueKind.Array ? list.EnumerateArray().ToArray() : [list];
        PolicyReader.Require(statements.Length <= PolicyDocument.MaxStatements, $"A policy has at most {PolicyDocument.MaxStatements} statements.");
        return PolicyReader.Checked([.. statements.Select(TranslateStatement).OfType<PolicyStatement>()]);
    }

    /// <returns>Null: it hands a key over to its account's other policies, which always count here.</returns>
    private static PolicyStatement? TranslateStatement(JsonElement json, int index)
    {
        var what = $"Statement {index + 1}";
        PolicyReader.Require(json.ValueKind == JsonValueKind.Object, $"{what} is an object.");
        var sid = json.TryGetProperty("Sid", out var name) ? PolicyReader.ReadSid(name, what) : null;
        what = sid is null ? what : $"Statement {sid}";
        // Not known: NotPrincipal, NotAction, NotResource, and whatever AWS thinks of next.
        var members = PolicyReader.Members(json, what, "Sid", "Effect", "Principal", "Action", "Resource", "Condition");
        PolicyReader.Require(members.TryGetValue("Principal", out var principal), $"{what} names no Principal.");
        PolicyReader.Require(members.TryGetValue("Action", out var action), $"{what} names no Action.");
        var effect = members.GetValueOrDefault("Effect") is { ValueKind: JsonValueKind.String } word
            ? word.GetString() switch { "Allow" => PolicyEffect.Allow, "Deny" => PolicyEffect.Deny, _ => throw PolicyReader.Refused($"{what}: Effect is Allow or Deny.") }
            : throw PolicyReader.Refused($"{what}: Effect is Allow or Deny.");
        var principals = Principals(principal, what);
        if (principals.Any(IsAccount))
        {
            PolicyReader.Require(
                effect == PolicyEffect.Allow && principals.All(IsAccount), $"{what}: an account cannot be a principal here, beside others or of a Deny.");
            return null;
        }

        ImmutableArray<PolicyCondition> conditions = members.TryGetValue("Condition", out var written)
            ? [.. PolicyReader.ReadConditions(written, what).Select(c => Condition(c, what))]
            : [];
        // A document has a fact once under an operator, and AWS several names for some: it could be stored, and never be read again.
        var twice = conditions.GroupBy(c => (c.Operator, c.Fact)).FirstOrDefault(g => g.Skip(1).Any());
        PolicyReader.Require(twice is null, $"{what}: {twice?.Key.Operator} asks twice for {twice?.Key.Fact}, by two of AWS's names.");
        return new PolicyStatement
        {
            Sid = sid,
            Effect = effect,
            Principals = [.. principals.Select(p => Principal(p, what))],
            Actions = [.. PolicyReader.Texts(action, what, "Action").SelectMany(a => ActionsOf(a, what)).Distinct(StringComparer.Ordinal)],
            Resources = members.TryGetValue("Resource", out var resource)
                ? [.. PolicyReader.Texts(resource, what, "Resource").Select(r => Resource(r, what))]
                : [],
            Conditions = conditions,
        };
    }

    private static ImmutableArray<string> Principals(JsonElement json, string what)
    {
        if (json.ValueKind == JsonValueKind.String)
            return [json.GetString()!];
        PolicyReader.Require(json.ValueKind == JsonValueKind.Object, $"{what}: Principal is * or an object with AWS.");
        var members = PolicyReader.Members(json, $"{what}: Principal", "AWS");
        PolicyReader.Require(members.TryGetValue("AWS", out var aws), $"{what}: Principal is * or an object with AWS.");
        return PolicyReader.Texts(aws, what, "Principal");
    }

    private static bool IsAccount(string principal) =>
        (principal.StartsWith("arn:aws", StringComparison.Ordinal) && principal.EndsWith(":root", StringComparison.Ordinal))
        || (principal.Length == 12 && principal.All(char.IsAsciiDigit));

    /// <summary>An IAM user or role stands for the credential of its name; our own principals are taken as they are.</summary>
    private static string Principal(string principal, string what)
    {
        if (string.Equals(principal, "*", StringComparison.Ordinal))
            return principal;
        var parts = principal.Split(':', 6);
        if (parts is ["arn", _, "iam", _, _, var resource]
            && (resource.StartsWith("user/", StringComparison.Ordinal) || resource.StartsWith("role/", StringComparison.Ordinal))
            && resource[(resource.LastIndexOf('/') + 1)..] is var name && KeyName.IsValid(name))
        {
            return $"credential:{name}";
        }

        return !principal.StartsWith("arn:", StringComparison.Ordinal) && principal.Contains(':', StringComparison.Ordinal)
            ? principal
            : throw PolicyReader.Refused($"{what}: the principal {principal} cannot be translated.");
    }

    private static string[] ActionsOf(string action, string what)
    {
        var own = ActionTable.Where(a => Wildcard.Matches(action, a.Aws, ignoreCase: true)).Select(a => a.Own).ToArray();
        return own.Length > 0 ? own : throw PolicyReader.Refused($"{what}: the action {action} has no equal here.");
    }

    private static string Resource(string resource, string what)
    {
        if (string.Equals(resource, "*", StringComparison.Ordinal))
            return resource;
        return resource.Split(':', 6) is ["arn", _, "kms", _, _, var name]
            && (name.StartsWith("key/", StringComparison.Ordinal) || name.StartsWith("alias/", StringComparison.Ordinal))
                ? name
                : throw PolicyReader.Refused($"{what}: the resource {resource} cannot be translated.");
    }

    private static PolicyCondition Condition(PolicyCondition aws, string what)
    {
        PolicyReader.Require(
            !aws.Values.Any(v => v.Contains("${", StringComparison.Ordinal)), $"{what}: policy variables cannot be translated.");
        PolicyReader.Require(ConditionOperator.Find(aws.Operator) is not null, $"{what}: the operator {aws.Operator} cannot be translated.");
        return aws with { Operator = OwnOperator(aws.Operator), Fact = OwnFact(aws.Fact, what) };
    }

    /// <summary><c>ForAnyValue:StringLike</c> → <c>forAnyValue:stringLike</c>.</summary>
    private static string OwnOperator(string aws) =>
        string.Join(':', aws.Split(':').Select(part => $"{char.ToLowerInvariant(part[0])}{part[1..]}"));

    private static string OwnFact(string aws, string what)
    {
        if (FactTable.TryGetValue(aws, out var own))
            return own;
        foreach (var (prefix, ownPrefix) in OpenFacts)
        {
            if (aws.StartsWith(prefix, StringComparison.OrdinalIgnoreCase) && Fact.Find(ownPrefix + aws[prefix.Length..]) is { } fact)
                return fact.Name;
        }

        throw PolicyReader.Refused($"{what}: the condition key {aws} cannot be translated.");
    }
}
