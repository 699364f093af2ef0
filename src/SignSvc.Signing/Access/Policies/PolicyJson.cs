using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using SignSvc.Signing.Access.Limits;

namespace SignSvc.Signing.Access.Policies;

/// <summary>A document in JSON, on the wire and at rest: <c>{"statements":[…]}</c>. Documents as AWS writes them are translated.</summary>
public sealed class PolicyDocumentConverter : JsonConverter<PolicyDocument>
{
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, naming the statement.</exception>
    public override PolicyDocument Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        using var json = JsonDocument.ParseValue(ref reader);
        PolicyReader.Require(ForeignJson.IsUnicode(json.RootElement), "The policy holds text that is not Unicode.");
        return PolicyReader.Read(json.RootElement);
    }

    public override void Write(Utf8JsonWriter writer, PolicyDocument value, JsonSerializerOptions options)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("statements");
        foreach (var statement in value.Statements)
            Write(writer, statement);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    internal static void WriteConditions(Utf8JsonWriter writer, ImmutableArray<PolicyCondition> conditions)
    {
        writer.WriteStartObject();
        foreach (var byOperator in conditions.GroupBy(c => c.Operator, StringComparer.Ordinal))
        {
            writer.WriteStartObject(byOperator.Key);
            foreach (var condition in byOperator)
                WriteTexts(writer, condition.Fact, condition.Values);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter writer, PolicyStatement statement)
    {
        writer.WriteStartObject();
        if (statement.Sid is not null)
            writer.WriteString("sid", statement.Sid);
        writer.WriteString("effect", statement.Effect switch { PolicyEffect.Allow => "allow", PolicyEffect.Deny => "deny", _ => "limit" });
        WriteTexts(writer, "principals", statement.Principals);
        WriteTexts(writer, "actions", statement.Actions);
        if (!statement.Resources.IsEmpty)
            WriteTexts(writer, "resources", statement.Resources);
        if (!statement.Conditions.IsEmpty)
        {
            writer.WritePropertyName("conditions");
            WriteConditions(writer, statement.Conditions);
        }

        if (statement.Limit is not null)
            LimitJson.Write(writer, statement.Limit);
        writer.WriteEndObject();
    }

    private static void WriteTexts(Utf8JsonWriter writer, string name, ImmutableArray<string> texts)
    {
        writer.WriteStartArray(name);
        foreach (var text in texts)
            writer.WriteStringValue(text);
        writer.WriteEndArray();
    }
}

/// <summary>Conditions alone, as a grant's constraints are written: <c>{"stringEquals":{"context.ref":["refs/heads/main"]}}</c>.</summary>
public sealed class PolicyConditionsConverter : JsonConverter<PolicyConditions>
{
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public override PolicyConditions Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        using var json = JsonDocument.ParseValue(ref reader);
        PolicyReader.Require(ForeignJson.IsUnicode(json.RootElement), "The grant holds text that is not Unicode.");
        return new PolicyConditions(PolicyReader.ReadConditions(json.RootElement, "The grant"));
    }

    public override void Write(Utf8JsonWriter writer, PolicyConditions value, JsonSerializerOptions options) =>
        PolicyDocumentConverter.WriteConditions(writer, value.All);
}
