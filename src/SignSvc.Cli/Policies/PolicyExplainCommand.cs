using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using SignSvc.Cli.Http;

namespace SignSvc.Cli.Policies;

/// <summary><c>signsvc policy explain</c>: what would happen, and why.</summary>
internal static class PolicyExplainCommand
{
    public static Command Create()
    {
        var action = Parameters.Required("action", "keys:Sign, tokens:Issue, …");
        var resource = Parameters.Required("resource", "key/release, profile/default, …");
        var principal = Parameters.Text("--principal", "principal", "Who asks: credential:ci, oidc:github:repo:acme/app:ref:refs/heads/main. Default: you.");
        var claims = Parameters.Many("--claim", "name=value", "What authentication vouches for. Several of one name are its values.");
        var context = Parameters.Many("--context", "name=value", "The signing context: ref=…, artifact.name=….");
        var address = Parameters.Text("--address", "ip", "Where the principal comes from.");

        var command = new Command("explain", "Says whether a request would be allowed, and why. Ends with 1 where it would not.")
        {
            action, resource, principal, claims, context, address,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var question = new JsonObject { ["action"] = parsed.GetRequiredValue(action), ["resource"] = parsed.GetRequiredValue(resource) };
            if (parsed.GetValue(principal) is { } who)
                question["principal"] = who;
            if (parsed.GetValue(address) is { } from)
                question["address"] = from;
            foreach (var (name, value) in parsed.GetRequiredValue(claims).Select(c => Parameters.Pair("--claim", c)))
                Add(Object(question, "claims"), name, value);
            foreach (var (name, value) in parsed.GetRequiredValue(context).Select(c => Parameters.Pair("--context", c)))
                Set(Object(question, "context"), name.Split('.'), value);

            using var service = ServiceClient.Connect(parsed);
            var answer = await AskAsync(service, question, cancellationToken);
            var explanation = answer.Read(CliJson.Default.ExplainAnswer);
            await answer.ShowAsync(parsed, CliJson.Default.ExplainAnswer, Write, cancellationToken);
            return explanation.Allowed ? ExitCode.Ok : ExitCode.NotValid;
        });
        return command;
    }

    public static Task<Answer> AskAsync(ServiceClient service, JsonObject question, CancellationToken cancellationToken) =>
        service.PostAsync("/v1/policy/explain", PolicyFile.Element(question), CliJson.Default.JsonElement, cancellationToken);

    private static void Write(ExplainAnswer e)
    {
        Console.Out.WriteLine($"{Words(e)}{(e.Reason is null ? "" : $": {e.Reason}")}");
        foreach (var statement in e.Statements ?? [])
        {
            Console.Out.WriteLine($"  {statement.Name} {statement.Effect}: {(statement.Applies ? "applies" : "does not apply")}");
            foreach (var f in statement.Failing)
                Console.Out.WriteLine($"    {f.Operator} {f.Fact} {string.Join(", ", f.Values)}: {(f.Actual.Length == 0 ? "missing" : $"is {string.Join(", ", f.Actual)}")}");
        }

        foreach (var need in e.Approvals ?? [])
            Console.Out.WriteLine($"  the rule {need.Rule} needs the approval of {need.Required}");
        foreach (var limit in e.Limits ?? [])
            Console.Out.WriteLine(Words(limit));
    }

    private static string Words(ExplainAnswer e) => e switch
    {
        { Allowed: false } => "not allowed",
        { Verdict: "overLimit" } => "allowed, but over a limit now",
        { Verdict: "needsApproval" } => "allowed, but it needs approval",
        _ => "allowed",
    };

    private static string Words(LimitStandingAnswer limit) => string.Create(
        CultureInfo.InvariantCulture,
        $"  {limit.Name} limits each {limit.Limit.Per switch { "callerAndKey" => "caller and key", var per => per }}: {limit.Available} may come now");

    private static JsonObject Object(JsonObject parent, string name)
    {
        if (parent[name] is not JsonObject child)
            parent[name] = child = [];
        return child;
    }

    private static void Add(JsonObject parent, string name, string value)
    {
        if (parent[name] is not JsonArray values)
            parent[name] = values = [];
        values.Add((JsonNode)JsonValue.Create(value));
    }

    private static void Set(JsonObject parent, ReadOnlySpan<string> path, string value)
    {
        if (path.Length == 1)
            parent[path[0]] = value;
        else
            Set(Object(parent, path[0]), path[1..], value);
    }
}
