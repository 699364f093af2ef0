using System.CommandLine;
using SignSvc.Cli.Output;

namespace SignSvc.Cli;

/// <summary>Asks before what cannot be undone. Nothing but the exact word is a yes.</summary>
internal static class Confirmation
{
    public static Option<bool> YesOption() => new("--yes") { Description = "Does not ask; for scripts." };

    /// <param name="yes">The user has said so already.</param>
    /// <param name="what">What will happen, as a sentence.</param>
    /// <param name="word">What has to be typed.</param>
    /// <exception cref="CommandException"><see cref="ExitCode.Usage"/>: something else was typed, or nobody can be asked.</exception>
    public static void Require(bool yes, string what, string word)
    {
        if (yes)
            return;
        if (Console.IsInputRedirected)
            throw CommandException.Usage($"{what} This has to be confirmed, and there is no terminal to ask at.", "Say --yes if it is meant.");
        Console.Error.Write($"{Remarks.Plain(what)}\nType {Remarks.Plain(word)} to go on: ");
        if (!string.Equals(Console.In.ReadLine(), word, StringComparison.Ordinal))
            throw CommandException.Usage("Not confirmed: nothing was done.");
    }
}
