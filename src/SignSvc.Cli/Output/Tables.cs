using System.Globalization;
using Spectre.Console;

namespace SignSvc.Cli.Output;

/// <param name="Stands">It needs a second look; coloured where there are colours.</param>
internal readonly record struct Cell(string Text, bool Stands = false)
{
    public static Cell Of(string? text) => new(string.IsNullOrEmpty(text) ? "-" : text);

    public static Cell Of(DateTimeOffset? at) =>
        Of(at?.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture));

    /// <summary>Software protection is marked wherever it is shown.</summary>
    public static Cell OfProtection(string protection) =>
        string.Equals(protection, "software", StringComparison.Ordinal) ? new("software !", Stands: true) : Of(protection);

    /// <summary>Enough of a kid to tell it from others in a list.</summary>
    public static Cell OfKid(string? kid) => Of(kid is { Length: > 10 } ? $"{kid[..10]}…" : kid);
}

/// <summary>Tables for people. Without a terminal there is neither colour nor wrapping: each row is one line.</summary>
internal static class Tables
{
    public const string SoftwareRemark = "! software: the private key is in no HSM and no KMS.";

    /// <summary>No line of ours is longer; Spectre needs a number.</summary>
    private const int Unbounded = 8192;

    public static void Write(string[] headings, IEnumerable<Cell[]> rows)
    {
        var table = new Table().Border(TableBorder.None);
        foreach (var heading in headings)
            table.AddColumn(new TableColumn(new Text(heading, new Style(decoration: Decoration.Bold))).PadLeft(0).PadRight(2));
        foreach (var row in rows)
            table.AddRow(row.Select(Render));
        Write(table);
    }

    /// <summary>One thing: a name and a value on each line.</summary>
    public static void WriteFacts(params ReadOnlySpan<(string Name, Cell Value)> facts)
    {
        var table = new Table().Border(TableBorder.None).HideHeaders();
        table.AddColumn(new TableColumn("").PadLeft(0).PadRight(2));
        table.AddColumn(new TableColumn("").PadLeft(0).PadRight(0));
        foreach (var (name, value) in facts)
            table.AddRow(new Text(name), Render(value));
        Write(table);
    }

    /// <summary>Standard output as a terminal, without colours where the user wants none (https://no-color.org: set and not empty).</summary>
    public static IAnsiConsole OpenTerminal() =>
        Open(Console.Out, isPlain: Environment.GetEnvironmentVariable("NO_COLOR") is { Length: > 0 });

    private static Text Render(Cell cell) =>
        new(Remarks.Plain(cell.Text), cell.Stands ? new Style(foreground: Color.Yellow) : null);

    private static void Write(Table table)
    {
        if (!Console.IsOutputRedirected)
        {
            OpenTerminal().Write(table);
            return;
        }

        using var text = new StringWriter();
        var console = Open(text, isPlain: true);
        console.Profile.Width = Unbounded;
        console.Write(table);
        foreach (var line in text.ToString().AsSpan().TrimEnd().EnumerateLines())
            Console.Out.WriteLine(line.TrimEnd());
    }

    private static IAnsiConsole Open(TextWriter output, bool isPlain) => AnsiConsole.Create(new AnsiConsoleSettings
    {
        Ansi = isPlain ? AnsiSupport.No : AnsiSupport.Detect,
        ColorSystem = isPlain ? ColorSystemSupport.NoColors : ColorSystemSupport.Detect,
        Interactive = InteractionSupport.No,
        Out = new AnsiConsoleOutput(output),
    });
}
