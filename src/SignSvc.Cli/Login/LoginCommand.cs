using System.CommandLine;
using System.Text;
using System.Text.Json;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Login;

internal sealed record Health(string? Status);

internal sealed record LoginAnswer(string Url, string Config);

/// <summary><c>signsvc login</c>. The token is typed, piped or read from a file; it is never an argument, which other users of the machine could see.</summary>
internal static class LoginCommand
{
    private const int MaxTokenBytes = 16 * 1024;
    private static readonly TimeSpan KeyPollInterval = TimeSpan.FromMilliseconds(20);

    private static readonly Option<string?> TokenFile = Parameters.Text(
        "--token-file", "file", "Reads the token from this file; else it is asked for, or read from standard input.");

    public static Command Create(TimeProvider time)
    {
        var command = new Command("login", "Checks a URL and a token and keeps them for later commands.") { TokenFile };
        command.SetAction((parsed, cancellationToken) => RunAsync(parsed, time, cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, TimeProvider time, CancellationToken cancellationToken)
    {
        var named = parsed.GetValue(GlobalOptions.Url) ?? Environment.GetEnvironmentVariable("SIGNSVC_URL");
        var url = Connection.ParseUrl(string.IsNullOrEmpty(named) ? Connection.DefaultUrl : named);
        if (url is { Scheme: "http", IsLoopback: false })
            Remarks.Warn($"{url.Authority} is spoken to without TLS: whoever is on the way can read the token.");
        var (token, source) = await ReadTokenAsync(parsed.GetValue(TokenFile), time, cancellationToken);
        token = Connection.CheckToken(token, source);

        var connection = new Connection(url, token, source);
        using var service = new ServiceClient(connection, TimeSpan.FromSeconds(parsed.GetValue(GlobalOptions.Timeout)));
        await CheckAsync(service, cancellationToken);
        var address = connection.Address;
        await new StoredLogin(address, token).SaveAsync(cancellationToken);

        if (parsed.WantsJson())
            await StandardOutput.WriteLineAsync(JsonSerializer.SerializeToUtf8Bytes(new LoginAnswer(address, StoredLogin.FilePath), CliJson.Default.LoginAnswer), cancellationToken);
        else
            Tables.WriteFacts(("logged in to", Cell.Of(address)), ("kept in", Cell.Of(StoredLogin.FilePath)));
        foreach (var variable in (string[])["SIGNSVC_URL", "SIGNSVC_TOKEN"])
        {
            if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 })
                Remarks.Warn($"{variable} is set and goes before this login.");
        }

        return ExitCode.Ok;
    }

    /// <summary>Whether it is SignSvc is asked first, so that a stranger does not get the token.</summary>
    private static async Task CheckAsync(ServiceClient service, CancellationToken cancellationToken)
    {
        (await service.GetOpenAsync(service.At("/healthz/live"), cancellationToken)).Read(CliJson.Default.Health);
        try
        {
            await service.GetAsync("/v1/profiles", cancellationToken);
        }
        catch (CommandException e) when (e.Status == 403)
        {
            // The service knows the caller, who may do other things.
        }
        catch (CommandException e) when (e.Status == 401)
        {
            throw new CommandException(
                e.ExitCode, e.Message, "Nothing was stored. Was the token copied whole? Else ask for one that is neither expired nor revoked.", e, e.Status);
        }
    }

    private static async Task<(string Token, string Source)> ReadTokenAsync(string? file, TimeProvider time, CancellationToken cancellationToken)
    {
        if (file is not null)
            return (await InputFile.ReadTextAsync(file, MaxTokenBytes, cancellationToken), file);
        if (Console.IsInputRedirected)
            return (await InputFile.ReadTextAsync(InputFile.StandardInput, MaxTokenBytes, cancellationToken), "Standard input");
        await Console.Error.WriteAsync("Token (is not shown): ");
        var token = await PromptAsync(time, cancellationToken);
        await Console.Error.WriteLineAsync();
        return (token, "The prompt");
    }

    private static async Task<string> PromptAsync(TimeProvider time, CancellationToken cancellationToken)
    {
        var typed = new StringBuilder();
        while (true)
        {
            // ReadKey alone could not be interrupted.
            while (!Console.KeyAvailable)
                await Task.Delay(KeyPollInterval, time, cancellationToken);
            var key = Console.ReadKey(intercept: true);
            if (key.Key == ConsoleKey.Enter)
                return typed.ToString();
            if (key.Key == ConsoleKey.Backspace)
                typed.Length = Math.Max(0, typed.Length - 1);
            else if (!char.IsControl(key.KeyChar) && typed.Length < MaxTokenBytes)
                typed.Append(key.KeyChar);
        }
    }
}
