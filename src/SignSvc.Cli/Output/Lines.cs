using Spectre.Console;

namespace SignSvc.Cli.Output;

/// <param name="Colour">Null: the terminal's own.</param>
internal readonly record struct Line(string Text, Color? Colour = null);

/// <summary>Lines for people; coloured on a terminal alone, and not where NO_COLOR is set.</summary>
internal static class Lines
{
    public static void Write(IEnumerable<Line> lines)
    {
        var console = Console.IsOutputRedirected ? null : Tables.OpenTerminal();
        foreach (var line in lines)
        {
            if (console is null)
                Console.Out.WriteLine(Remarks.Plain(line.Text));
            else
                console.WriteLine(Remarks.Plain(line.Text), line.Colour is { } colour ? new Style(colour) : Style.Plain);
        }
    }
}
