using System.CommandLine;

namespace SignSvc.Cli;

/// <summary>Options and arguments in the shapes that the commands share.</summary>
internal static class Parameters
{
    public static Option<string?> Text(string name, string helpName, string description) =>
        new(name) { HelpName = helpName, Description = description };

    public static Option<string?> OneOf(string name, string description, params string[] values)
    {
        var option = new Option<string?>(name) { HelpName = string.Join('|', values), Description = description };
        option.AcceptOnlyFromAmong(values);
        return option;
    }

    /// <summary>May be given several times, one value each.</summary>
    public static Option<string[]> Many(string name, string helpName, string description) =>
        new(name) { HelpName = helpName, Description = $"{description} May be given several times.", DefaultValueFactory = _ => [] };

    public static Option<int?> Number(string name, string description) => new(name) { HelpName = "n", Description = description };

    public static Option<string> KeyOption() => new("--key")
    {
        HelpName = "key",
        Description = "Name or id of the key.",
        DefaultValueFactory = _ => "release",
    };

    public static Argument<string> Required(string name, string description) => new(name) { Description = description };

    /// <summary>Splits <c>name=value</c> at the first equals sign.</summary>
    public static (string Name, string Value) Pair(string option, string text)
    {
        var at = text.IndexOf('=', StringComparison.Ordinal);
        return at > 0
            ? (text[..at], text[(at + 1)..])
            : throw CommandException.Usage($"{option} takes name=value.");
    }
}
