using System.CommandLine;
using System.Text.Json.Nodes;
using SignSvc.Cli.Declared;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Policies;

/// <summary>
/// <c>signsvc policy test FILE</c>: expectations that a pipeline holds the policies to, before or after a change.
/// </summary>
internal static class PolicyTestCommand
{
    private const int MaxTests = 1000;

    public static Command Create()
    {
        var file = Parameters.Required("file", "YAML or JSON: tests: [{name, expect: allow|deny|approval, by?, action, resource, principal, claims, context, token, address, time}].");
        var command = new Command("test", "Holds the policies to expectations. Ends with 1 where one fails.") { file };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var tests = Tests(await PolicyFile.ReadAsync(parsed.GetRequiredValue(file), cancellationToken));
            using var service = ServiceClient.Connect(parsed);
            var failures = new List<PolicyTestFailure>();
            foreach (var test in tests)
            {
                var answer = await PolicyExplainCommand.AskAsync(service, test.Question, cancellationToken);
                if (test.FailureOf(answer.Read(CliJson.Default.ExplainAnswer)) is { } failure)
                    failures.Add(failure);
            }

            await WriteAsync(parsed, new PolicyTestReport(tests.Count - failures.Count, [.. failures]), cancellationToken);
            return failures.Count == 0 ? ExitCode.Ok : ExitCode.NotValid;
        });
        return command;
    }

    private static List<PolicyExpectation> Tests(YamlMap file)
    {
        if (file.Members is not [({ Text: "tests" }, YamlList list)] || list.Items.Count is 0 or > MaxTests)
            throw file.Place.Refuse($"The file is a mapping with the list tests, of 1 to {MaxTests}.");
        return [.. list.Items.Select(PolicyExpectation.Parse)];
    }

    private static async Task WriteAsync(ParseResult parsed, PolicyTestReport report, CancellationToken cancellationToken)
    {
        if (parsed.WantsJson())
        {
            await StandardOutput.WriteLineAsync(
                System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(report, CliJson.Default.PolicyTestReport), cancellationToken);
            return;
        }

        foreach (var failure in report.Failures)
            Console.Out.WriteLine($"FAILED {failure.Test}: expected {failure.Expected}, got {failure.Actual}{(failure.Why is null ? "" : $". {failure.Why}")}");
        Console.Out.WriteLine($"{report.Passed} passed, {report.Failures.Length} failed");
    }

    /// <param name="Expect"><c>allow</c> and <c>deny</c> as policies say; <c>approval</c>: allowed, and others have to approve.</param>
    /// <param name="By">What has to have decided; null: whatever did.</param>
    private sealed record PolicyExpectation(string Name, string Expect, string? By, JsonObject Question)
    {
        private static readonly string[] Known =
            ["action", "resource", "principal", "roles", "claims", "address", "time", "context", "token", "bytes", "count"];

        public static PolicyExpectation Parse(YamlNode node)
        {
            if (node is not YamlMap map)
                throw node.Place.Refuse("A test is a mapping.");
            var question = new JsonObject();
            string? name = null, expect = null, by = null;
            foreach (var (key, value) in map.Members)
            {
                switch (key.Text)
                {
                    case "name":
                        name = TextOf(value);
                        break;
                    case "expect":
                        expect = TextOf(value);
                        break;
                    case "by":
                        by = TextOf(value);
                        break;
                    case "claims" when value is YamlMap claims:
                        question["claims"] = new JsonObject(claims.Members.Select(c => KeyValuePair.Create<string, JsonNode?>(c.Key.Text, Values(c.Value))));
                        break;
                    default:
                        question[Known.Contains(key.Text, StringComparer.Ordinal) ? key.Text : throw key.Place.Refuse($"There is no {key.Text} in a test.")] = PolicyFile.ToJson(value);
                        break;
                }
            }

            return new PolicyExpectation(
                name ?? $"line {node.Place.Line}",
                expect is "allow" or "deny" or "approval" ? expect : throw node.Place.Refuse("expect is allow, deny or approval."),
                by, question);
        }

        public PolicyTestFailure? FailureOf(ExplainAnswer actual)
        {
            // Whatever is expected of what does not exist comes true by accident alone.
            if (actual.Verdict is "notFound")
                return new PolicyTestFailure(Name, Word(Expect, By), "nothing", actual.Reason);
            var word = !actual.Allowed ? "deny" : Expect is "approval" && actual.Approvals is { Length: > 0 } ? "approval" : "allow";
            var isAsExpected = string.Equals(word, Expect, StringComparison.Ordinal) && (By is null || string.Equals(By, actual.By, StringComparison.Ordinal));
            return isAsExpected ? null : new PolicyTestFailure(Name, Word(Expect, By), Word(word, By is null ? null : actual.By), actual.Reason);
        }

        private static string Word(string what, string? by) => $"{what}{(by is null ? "" : $" by {by}")}";

        private static string TextOf(YamlNode node) => node is YamlScalar scalar ? scalar.Text : throw node.Place.Refuse("This is a text.");

        /// <summary>A claim has a list of texts; one is written without the list.</summary>
        private static JsonArray Values(YamlNode node) =>
            new([.. (node is YamlList list ? list.Items.Select(TextOf) : [TextOf(node)]).Select(t => (JsonNode)JsonValue.Create(t))]);
    }
}
