using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace SignSvc.Emulation.Tests.Recorded;

/// <summary>
/// One recorded test while it is replayed: compares the emulator's answers with the recorded steps. A numbered
/// placeholder such as <c>&lt;key-id:1&gt;</c> must stand for the same text wherever the test shows it.
/// </summary>
internal sealed partial class Replay(string name, JsonObject recorded, KmsWire kms)
{
    public const string SecondaryRegion = "eu-west-1";

    /// <summary>Members that AWS added to these answers after some of them were recorded.</summary>
    private static readonly string[] AddedSince = ["KeyMaterialId", "SourceKeyMaterialId", "DestinationKeyMaterialId"];

    private readonly Dictionary<string, string> _bound = new(StringComparer.Ordinal);
    private readonly HashSet<string> _compared = new(StringComparer.Ordinal);

    public string Name => name;

    public KmsWire Kms => kms;

    /// <summary>The values between the brackets of the test's name.</summary>
    public string[] Arguments { get; } =
        name.Contains('[', StringComparison.Ordinal)
            ? name[(name.IndexOf('[', StringComparison.Ordinal) + 1)..^1].Split('-')
            : [];

    public bool IsEmpty => recorded.Count == 0;

    public IEnumerable<string> StepsNotCompared => recorded.Select(s => s.Key).Where(s => !_compared.Contains(s));

    /// <summary>Compares an answer as boto3 returns it: the members, or the error, and the HTTP status.</summary>
    public void Match(string step, Reply reply)
    {
        var response = new JsonObject
        {
            ["ResponseMetadata"] = new JsonObject
            {
                ["HTTPHeaders"] = new JsonObject(),
                ["HTTPStatusCode"] = reply.Status,
            },
        };
        if (reply.Error is null)
        {
            foreach (var (member, value) in reply.Body)
                response[member] = value?.DeepClone();
        }
        else
        {
            var message = reply.Body["message"]?.GetValue<string>();
            response["Error"] = new JsonObject { ["Code"] = reply.Error, ["Message"] = message ?? "" };

            // boto3 of 2023 did not repeat the message; an error without one has none to repeat.
            if (recorded[step]!["message"] is not null)
                response["message"] = message;
        }

        Match(step, response);
    }

    /// <summary>Compares a part of an answer.</summary>
    public void Match(string step, JsonNode? actual)
    {
        Assert.True(recorded.ContainsKey(step), $"{name} records no step {step}.");
        Compare(recorded[step], actual, step);
        _compared.Add(step);
    }

    private void Compare(JsonNode? expected, JsonNode? actual, string path)
    {
        switch (expected)
        {
            case JsonObject members:
                CompareMembers(members, Parsed(actual), path);
                break;
            case JsonArray list:
                var array = Assert.IsType<JsonArray>(actual);
                Assert.True(list.Count == array.Count, $"{path}: {array.ToJsonString()}");
                for (var i = 0; i < list.Count; i++)
                    Compare(list[i], array[i], $"{path}[{i}]");
                break;
            case JsonValue value when value.TryGetValue<string>(out var text):
                CompareText(text, actual, path);
                break;
            default:
                Assert.True(
                    JsonNode.DeepEquals(expected, actual),
                    $"{path}: {actual?.ToJsonString()} instead of {expected?.ToJsonString()}");
                break;
        }
    }

    private void CompareMembers(JsonObject expected, JsonObject? actual, string path)
    {
        Assert.True(actual is not null, $"{path} is missing.");
        foreach (var (member, value) in expected)
        {
            Assert.True(actual.ContainsKey(member), $"{path}.{member} is missing in {actual.ToJsonString()}");
            Compare(value, actual[member], $"{path}.{member}");
        }

        var unexpected = actual
            .Select(m => m.Key)
            .Except(expected.Select(m => m.Key), StringComparer.Ordinal)
            .Except(AddedSince, StringComparer.Ordinal);
        Assert.True(!unexpected.Any(), $"{path} has more members than recorded: {string.Join(", ", unexpected)}");
    }

    private void CompareText(string expected, JsonNode? actual, string path)
    {
        if (expected is "datetime")
        {
            Assert.True(actual!.AsValue().TryGetValue<double>(out _), $"{path} is no time.");
            return;
        }

        var text = actual!.GetValue<string>();
        if (BlobPlaceholder().IsMatch(expected))
        {
            Assert.NotEmpty(Convert.FromBase64String(text));
            return;
        }

        var groups = new List<string>();
        var pattern = Placeholder().Replace(Regex.Escape(expected), m => Pattern(m.Value, groups));
        var match = Regex.Match(text, $"^{pattern}$", RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));
        Assert.True(match.Success, $"{path}: '{text}' instead of '{expected}'");
        for (var i = 0; i < groups.Count; i++)
        {
            var found = match.Groups[i + 1].Value;
            if (_bound.TryAdd(groups[i], found))
                continue;
            Assert.True(
                string.Equals(_bound[groups[i]], found, StringComparison.Ordinal),
                $"{path}: {groups[i]} was {_bound[groups[i]]}, now {found}");
        }
    }

    /// <summary>What a placeholder may stand for. Numbered ones are captured, to be compared between steps.</summary>
    private static string Pattern(string placeholder, List<string> groups)
    {
        const string Id = "(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})";
        const string Arn = $"arn:aws:kms:[a-z0-9-]+:[0-9]{{12}}:key/{Id}";
        var kind = placeholder[1..^1].Split(':')[0];
        var pattern = kind switch
        {
            "partition" => "aws",
            "region" => "us-east-1",
            "secondary-region" => SecondaryRegion,
            "key-arn" or "mrk-key-arn" => Arn,
            "key-id" or "resource" => $"(?:{Arn}|{Id})",
            "key-material-id" or "current-key-material-id" => "[0-9a-f]{64}",
            "description" => ".+",
            _ => throw new InvalidOperationException($"Unknown placeholder {placeholder}."),
        };
        if (!placeholder.Contains(':', StringComparison.Ordinal))
            return pattern;
        groups.Add(placeholder);
        return $"({pattern})";
    }

    /// <summary>Policies are text; the recording shows what is in them.</summary>
    private static JsonObject? Parsed(JsonNode? node) =>
        node is JsonValue value && value.TryGetValue<string>(out var text)
            ? JsonNode.Parse(text)!.AsObject()
            : node as JsonObject;

    [GeneratedRegex(
        "^(<signature>|ciphertext-blob|plaintext|public-key|import-token|private-key-plaintext|private-key-ciphertext-blob)$",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex BlobPlaceholder();

    [GeneratedRegex("<[a-z-]+(:[0-9]+)?>", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Placeholder();
}
