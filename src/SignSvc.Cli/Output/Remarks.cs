namespace SignSvc.Cli.Output;

/// <summary>What is said beside the answer, on standard error: errors, warnings, how it was done.</summary>
internal static class Remarks
{
    public static void Write(string line) => Console.Error.WriteLine(Plain(line));

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
