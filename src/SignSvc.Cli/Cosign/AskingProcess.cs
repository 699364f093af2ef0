namespace SignSvc.Cli.Cosign;

/// <summary>The cosign that started this process, told from every other one: also from one that has its number later.</summary>
internal static class AskingProcess
{
    /// <summary>Where proc_pid_stat(5) has field 22, counted from the name's end: the name is in parentheses and may hold blanks.</summary>
    private const int StartTime = 19;

    /// <returns>Null: the system does not say it.</returns>
    public static string? Identify() =>
        FieldsOf("self") is [_, var parent, ..] && FieldsOf(parent) is { Length: > StartTime } fields ? $"{parent}.{fields[StartTime]}" : null;

    private static string[]? FieldsOf(string process)
    {
        var file = $"/proc/{process}/stat";
        if (!File.Exists(file))
            return null;
        try
        {
            var text = File.ReadAllText(file);
            return text[(text.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It ended meanwhile, or is not ours to see.
            return null;
        }
    }
}
