using System.Collections.Immutable;
using System.Text.Json;
using SignSvc.Signing.Access.Limits;

namespace SignSvc.Signing.Access.Policies;

/// <summary>Reads documents strictly, within bounds, and says of which statement it speaks where it refuses.</summary>
internal static class PolicyReader
{
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public static PolicyDocument Read(JsonElement json)
    {
        Require(json.ValueKind == JsonValueKind.Object, "A policy is an object with statements.");
        if (json.TryGetProperty("Statement", out _) || json.TryGetProperty("Version", out _))
            return AwsPolicy.Translate(json);
        var members = Members(json, "The policy", "statements");
        Require(
            members.TryGetValue("statements", out var list) && list.ValueKind == JsonValueKind.Array,
            "A policy is an object with the array statements.");
        Require(list.GetArrayLength() <= PolicyDocument.MaxStatements, $"A policy has at most {PolicyDocument.MaxStatements} statements.");
        return Checked([.. list.EnumerateArray().Select(ReadStatement)]);
    }

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public static ImmutableArray<PolicyCondition> ReadConditions(JsonElement json, string what)
    {
        Require(json.ValueKind == JsonValueKind.Object, $"{what}: conditions is an object of operators.");
        var conditions = ImmutableArray.CreateBuilder<PolicyCondition>();
        foreach (var (name, facts) in Members(json, what))
        {
            Require(facts.ValueKind == JsonValueKind.Object && facts.EnumerateObject().Any(), $"{what}: {Shown(name)} is an object of facts and their values, at least one.");
            foreach (var (fact, values) in Members(facts, what))
                conditions.Add(new PolicyCondition(name, fact, Texts(values, what, fact)));
        }

        Require(conditions.Count <= PolicyStatement.MaxConditions, $"{what} has at most {PolicyStatement.MaxConditions} conditions.");
        return conditions.ToImmutable();
    }

    /// <summary>Several statements of one name would leave open of which one an answer speaks.</summary>
    internal static PolicyDocument Checked(ImmutableArray<PolicyStatement> statements)
    {
        var twice = statements.Where(s => s.Sid is not null).GroupBy(s => s.Sid, StringComparer.Ordinal).FirstOrDefault(g => g.Count() > 1);
        Require(twice is null, $"The sid {twice?.Key} stands twice.");
        return new PolicyDocument(statements);
    }

    /// <summary>One text or an array of them; numbers and booleans count as their JSON text.</summary>
    internal static ImmutableArray<string> Texts(JsonElement json, string what, string member)
    {
        var list = json.ValueKind == JsonValueKind.Array ? json.EnumerateArray().ToArray() : [json];
        Require(
            list.Length is > 0 and <= PolicyStatement.MaxEntries, $"{what}: {Shown(member)} holds from 1 to {PolicyStatement.MaxEntries} values.");
        return [.. list.Select(e => Text(e, what, member))];
    }

    internal static Dictionary<string, JsonElement> Members(JsonElement json, string what, params ReadOnlySpan<string> known)
    {
        var members = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var member in json.EnumerateObject())
        {
            Require(known.IsEmpty || known.Contains(member.Name), $"{what} has the unknown member {Shown(member.Name)}.");
            Require(members.TryAdd(member.Name, member.Value), $"{what} has {Shown(member.Name)} twice.");
        }

        return members;
    }

    internal static string ReadSid(JsonElement sid, string what) =>
        sid.ValueKind == JsonValueKind.String && sid.GetString() is { Length: > 0 and <= 128 } text && !text.Any(char.IsControl)
            ? text
            : throw Refused($"{what}: sid has from 1 to 128 characters, none of them a control character.");

    internal static void Require(bool holds, string message)
    {
        if (!holds)
            throw Refused(message);
    }

    internal static SigningException Refused(string message) => new(SigningFault.InvalidRequest, message);

    private static PolicyStatement ReadStatement(JsonElement json, int index)
    {
        var what = $"Statement {index + 1}";
        Require(json.ValueKind == JsonValueKind.Object, $"{what} is an object.");
        var members = Members(json, what, "sid", "effect", "principals", "actions", "resources", "conditions", "limit");
        var sid = members.TryGetValue("sid", out var name) ? ReadSid(name, what) : null;
        what = sid is null ? what : $"Statement {sid}";
        var effect = ReadEffect(members.GetValueOrDefault("effect"), what);
        return new PolicyStatement
        {
            Sid = sid,
            Effect = effect,
            Principals = members.TryGetValue("principals", out var principals)
                ? Texts(principals, what, "principals")
                : throw Refused($"{what} names no principals."),
            Actions = members.TryGetValue("actions", out var actions)
                ? Texts(actions, what, "actions")
                : throw Refused($"{what} names no actions."),
            Resources = members.TryGetValue("resources", out var resources) ? Texts(resources, what, "resources") : [],
            Conditions = members.TryGetValue("conditions", out var conditions) ? ReadConditions(conditions, what) : [],
            Limit = members.TryGetValue("limit", out var limit) == (effect == PolicyEffect.Limit)
                ? effect == PolicyEffect.Limit ? LimitJson.Read(limit, what) : null
                : throw Refused($"{what}: the member limit goes with the effect limit."),
        };
    }

    private static PolicyEffect ReadEffect(JsonElement json, string what) =>
        (json.ValueKind == JsonValueKind.String ? json.GetString() : null) switch
        {
            "allow" => PolicyEffect.Allow,
            "deny" => PolicyEffect.Deny,
            "limit" => PolicyEffect.Limit,
            _ => throw Refused($"{what}: effect is allow, deny or limit."),
        };

    private static string Text(JsonElement json, string what, string member)
    {
        var text = json.ValueKind switch
        {
            JsonValueKind.String => json.GetString(),
            JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => json.GetRawText(),
            _ => null,
        };
        return text is { Length: > 0 and <= PolicyStatement.MaxTextLength }
            ? text
            : throw Refused($"{what}: {Shown(member)} holds texts of 1 to {PolicyStatement.MaxTextLength} characters.");
    }

    private static string Shown(string name) => name.Length <= 64 ? name : $"{name.AsSpan(0, 64)}…";
}
