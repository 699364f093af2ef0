namespace SignSvc.Cli.Output;

/// <summary>What is said beside the answer, on standard error: errors, warnings, how it was done.</summary>
internal static class Remarks
{
    private const string Indent = "         ";

    /// <summary>Further lines of a text are indented, so that none of them can pass for a remark of its own.</summary>
    public static void Write(string text)
    {
        var lines = text.ReplaceLineEndings("\n").Split('\n');
        Console.Error.WriteLine(Plain(lines[0]));
        foreach (var line in lines.Skip(1).Select(l => l.Trim()).Where(l => l.Length > 0))
            Console.Error.WriteLine(Indent + Plain(line));
    }

    public static void Warn(string warning) => Write($"warning: {warning}");

    /// <summary>Text of others must not steer the terminal: control characters become question marks.</summary>
    public static string Plain(string text) => text.Any(char.IsControl)
        ? string.Create(text.Length, text, static (to, from) =>
        {
            for (var i = 0; i < to.Length; i++)
                to[i] = char.IsControl(from[i]) ? '?' : from[i];
        })
        : text;
}
