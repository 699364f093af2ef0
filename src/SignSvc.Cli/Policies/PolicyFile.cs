using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using SignSvc.Cli.Declared;

namespace SignSvc.Cli.Policies;

/// <summary>Policies and expectations in YAML; JSON is YAML, too.</summary>
internal static class PolicyFile
{
    private const int MaxBytes = 1024 * 1024;

    /// <exception cref="CommandException"><see cref="ExitCode.Usage"/>, with line and column.</exception>
    public static async Task<YamlMap> ReadAsync(string path, CancellationToken cancellationToken)
    {
        var text = Encoding.UTF8.GetString(await InputFile.ReadAsync(path, MaxBytes, cancellationToken));
        var documents = YamlTree.Read(InputFile.NameOf(path), text);
        return documents.Count == 1
            ? documents[0]
            : throw CommandException.Usage($"{InputFile.NameOf(path)} holds {documents.Count} documents, not one.");
    }

    /// <summary>As JSON. Plain scalars that read as numbers or booleans become such, as in YAML's core schema.</summary>
    public static JsonNode? ToJson(YamlNode node) => node switch
    {
        YamlMap map => new JsonObject(map.Members.Select(m => KeyValuePair.Create(m.Key.Text, ToJson(m.Value)))),
        YamlList list => new JsonArray([.. list.Items.Select(ToJson)]),
        YamlScalar { IsNull: true } => null,
        YamlScalar { IsPlain: true, Text: "true" or "True" or "TRUE" } => JsonValue.Create(true),
        YamlScalar { IsPlain: true, Text: "false" or "False" or "FALSE" } => JsonValue.Create(false),
        YamlScalar { IsPlain: true } number when long.TryParse(number.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) => JsonValue.Create(value),
        YamlScalar { IsPlain: true } number when decimal.TryParse(number.Text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value)
            && string.Equals(value.ToString(CultureInfo.InvariantCulture), number.Text, StringComparison.Ordinal) => JsonValue.Create(value),
        YamlScalar scalar => JsonValue.Create(scalar.Text),
        _ => throw node.Place.Refuse("This is nothing that can be read."),
    };

    public static JsonElement Element(JsonNode? node)
    {
        using var json = JsonDocument.Parse(node is null ? "null" : node.ToJsonString());
        return json.RootElement.Clone();
    }
}
