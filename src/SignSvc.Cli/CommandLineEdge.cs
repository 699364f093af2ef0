using System.CommandLine;
using SignSvc.Cli.Declared;
using SignSvc.Cli.Output;
using SignSvc.Signing;

namespace SignSvc.Cli;

/// <summary>The edge of the process: arguments come in, an exit code goes out, and every failure becomes one clear line.</summary>
internal static class CommandLineEdge
{
    /// <summary>How long a command may take to end after Ctrl-C or SIGTERM before the process ends without it.</summary>
    private static readonly TimeSpan TerminationTimeout = TimeSpan.FromSeconds(1);

    public static async Task<int> RunAsync(RootCommand root, string[] args)
    {
        // An argument that begins with @ is what it says, not the name of a file with more arguments.
        var parsed = root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.Errors.Count > 0 && parsed.Action is null or System.CommandLine.Invocation.ParseErrorAction)
            return RefuseUsage(parsed);
        if (parsed.Errors.Count == 0 && parsed.WantsYaml() && parsed.CommandResult.Command.Name is not StatusCommand.Name)
            return Fail(ExitCode.Usage, "--output yaml is for status alone.", next: null);
        try
        {
            return await parsed.InvokeAsync(new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = TerminationTimeout,
            });
        }
        catch (CommandException e)
        {
            return Fail(e.ExitCode, e.Message, e.Next);
        }
        catch (OperationCanceledException)
        {
            return Fail(ExitCode.Interrupted, "Interrupted.", next: null);
        }
        catch (SigningException e)
        {
            return Fail(ExitCode.Usage, e.Message, next: null);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Fail(ExitCode.Usage, e.Message, next: null);
        }
    }

    private static int RefuseUsage(ParseResult parsed)
    {
        var names = parsed.CommandResult.Command.Parents.OfType<Command>().Any()
            ? $"signsvc {CommandPath(parsed)}"
            : "signsvc";
        var message = string.Join(' ', parsed.Errors.Select(e => e.Message).Distinct(StringComparer.Ordinal));
        return Fail(ExitCode.Usage, message, $"See '{names} --help'.");
    }

    private static string CommandPath(ParseResult parsed)
    {
        var names = new Stack<string>();
        for (var at = parsed.CommandResult; at.Parent is System.CommandLine.Parsing.CommandResult parent; at = parent)
            names.Push(at.Command.Name);
        return string.Join(' ', names);
    }

    private static int Fail(int exitCode, string message, string? next)
    {
        Remarks.Write($"signsvc: {message}");
        if (next is not null)
            Remarks.Write($"         {next}");
        return exitCode;
    }
}
