using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Tokens;

/// <summary><c>signsvc token</c>.</summary>
internal static class TokenCommands
{
    public static Command Create() => new("token", "Tokens (JWT).") { CreateIssue(), TokenVerifyCommand.Create() };

    private static Command CreateIssue()
    {
        var profile = new Option<string>("--profile") { HelpName = "name", DefaultValueFactory = _ => "default", Description = "The token profile." };
        var subject = Parameters.Text("--subject", "text", "The claim sub. Default: the caller.");
        var audiences = Parameters.Many("--audience", "text", "The claim aud. Default: the profile's.");
        var lifetime = Parameters.Text("--lifetime", "time", "300 or 300s, 15m, 1h. Default: the profile's.");
        var claims = Parameters.Many("--claim", "name=text|name:=json", "A further claim.");

        var explain = new Option<bool>("--explain") { Description = "Shows what the token would say; nothing is signed." };

        var command = new Command("issue", "Issues a token and prints it.") { profile, subject, audiences, lifetime, claims, explain };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var body = new TokenBody(
                parsed.GetRequiredValue(profile), parsed.GetValue(subject),
                parsed.GetValue(audiences) is { Length: > 0 } given ? given : null,
                parsed.GetValue(lifetime) is { } text ? (int)Durations.Parse("--lifetime", text).TotalSeconds : null,
                ParseClaims(parsed.GetValue(claims)));
            using var service = ServiceClient.Connect(parsed);
            if (parsed.GetValue(explain))
            {
                var explained = await service.PostAsync("/v1/tokens/explain", body, CliJson.Default.TokenBody, cancellationToken);
                await explained.ShowAsync(parsed, CliJson.Default.TokenExplanation, Write, cancellationToken);
                return ExitCode.Ok;
            }

            var answer = await service.PostAsync("/v1/tokens", body, CliJson.Default.TokenBody, cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.TokenAnswer, Write, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary><c>name=text</c> is a string; <c>name:=json</c> is what the JSON says: a number, an array, an object.</summary>
    internal static Dictionary<string, JsonElement>? ParseClaims(string[]? texts)
    {
        if (texts is null or [])
            return null;
        var claims = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var text in texts)
        {
            var (name, value) = Parameters.Pair("--claim", text);
            var isJson = name.EndsWith(':');
            name = isJson ? name[..^1] : name;
            var claim = isJson ? ParseJson(name, value) : JsonSerializer.SerializeToElement(value, CliJson.Default.String);
            if (name.Length == 0 || !claims.TryAdd(name, claim))
                throw CommandException.Usage(name.Length == 0 ? "--claim takes name=text or name:=json." : $"The claim {name} is given twice.");
        }

        return claims;
    }

    private static JsonElement ParseJson(string name, string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            return document.RootElement.Clone();
        }
        catch (JsonException e)
        {
            throw CommandException.Usage($"The claim {name} is not JSON.", $"For plain text write {name}=text.", e);
        }
    }

    private static void Write(TokenExplanation explained)
    {
        Console.Out.WriteLine(explained.Header.GetRawText());
        Console.Out.WriteLine(explained.Claims.GetRawText());
        Remarks.Write($"Profile {explained.Profile}: nothing was signed");
    }

    /// <summary>The token alone is on standard output, so that it can be piped on.</summary>
    private static void Write(TokenAnswer issued)
    {
        Console.Out.WriteLine(issued.Token);
        var expires = issued.ExpiresAt.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        Remarks.Write($"Issued token {issued.TokenId}: expires {expires}, kid {issued.Kid}, audit {issued.AuditId}");
    }
}
