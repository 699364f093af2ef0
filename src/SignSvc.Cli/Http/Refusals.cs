using System.Globalization;
using System.Text;
using System.Text.Json;
using SignSvc.Cli.Login;

namespace SignSvc.Cli.Http;

/// <summary>RFC 9457, with the members that SignSvc adds.</summary>
internal sealed record Problem(string? Type, string? Title, string? Detail, string? AuditId, string? TraceId);

/// <summary>The one place where a refusal of the service becomes words and an exit code.</summary>
internal static class Refusals
{
    private const string CodePrefix = "urn:signsvc:problem:";

    public static CommandException Of(Uri address, HttpResponseMessage response, byte[] body, Connection connection)
    {
        var status = (int)response.StatusCode;
        var problem = Read(body);
        var message = problem is null
            ? $"{address.GetLeftPart(UriPartial.Path)} answered {status}, not as SignSvc does."
            : Describe(problem, status);
        return new CommandException(
            status is >= 400 and < 500 ? ExitCode.Refused : ExitCode.Unavailable,
            message,
            problem is null ? "Is this the URL of the service? Name another with --url or SIGNSVC_URL." : Next(status, problem, response, connection),
            status: status);
    }

    private static Problem? Read(byte[] body)
    {
        try
        {
            var problem = JsonSerializer.Deserialize(body, CliJson.Default.Problem);
            return problem?.Type?.StartsWith(CodePrefix, StringComparison.Ordinal) == true ? problem : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string Describe(Problem problem, int status)
    {
        var text = new StringBuilder();
        text.Append(problem.Title ?? $"The service answered {status}.");
        if (problem.Detail is not null && !string.Equals(problem.Detail, problem.Title, StringComparison.Ordinal))
            text.Append(' ').Append(problem.Detail);
        text.Append(" (").Append(problem.Type![CodePrefix.Length..]);
        if (problem.AuditId is not null)
            text.Append(", audit ").Append(problem.AuditId);
        return text.Append(')').ToString();
    }

    private static string? Next(int status, Problem problem, HttpResponseMessage response, Connection connection) => status switch
    {
        401 => $"The credential came from {connection.TokenSource}. Run 'signsvc login', or set SIGNSVC_TOKEN to one that is neither expired nor revoked.",
        403 => "Ask an administrator for a credential with a role that allows it; 'signsvc credentials list' shows who has which.",
        404 => "'signsvc keys list', 'signsvc profiles list' and 'signsvc credentials list' show what there is.",
        412 => "Somebody else changed it after it was read: look at it again, or plan again.",
        429 or 503 or 504 => $"Nothing is wrong with the request: try again{After(response)}.",
        >= 500 => problem.TraceId is null ? null : $"The log of the service says more under trace {problem.TraceId}.",
        _ => null,
    };

    private static string After(HttpResponseMessage response) => response.Headers.RetryAfter?.Delta is { } delay
        ? string.Create(CultureInfo.InvariantCulture, $" in {delay.TotalSeconds} s")
        : " in a moment";
}
