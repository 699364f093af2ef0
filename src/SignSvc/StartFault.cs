using System.Text.Json;

namespace SignSvc;

/// <summary>
/// The edge of the process: whatever keeps it from serving is said here, in words and with what to do, and never with a
/// stack trace. A bug's is shown to whoever asks for it.
/// </summary>
internal static class StartFault
{
    public const int ExitCode = 1;

    private const string TraceVariable = "SIGNSVC_START_TRACE";

    /// <param name="args">What the process was asked to do.</param>
    /// <returns>The exit code.</returns>
    public static async Task<int> ReportAsync(Exception fault, string[] args)
    {
        await Console.Error.WriteLineAsync($"{Failed(args)}\n{InWords(fault)}");
        if (Environment.GetEnvironmentVariable(TraceVariable) is "1")
            await Console.Error.WriteLineAsync(fault.ToString());
        else if (!IsKnown(fault))
            await Console.Error.WriteLineAsync($"SignSvc does not know this fault. Look into docs/operations.md, \"When it does not start\"; {TraceVariable}=1 shows where it came up, for a report.");
        return ExitCode;
    }

    /// <summary>In a line or two: of a settings file that is no JSON the file, line and position.</summary>
    public static string InWords(Exception fault)
    {
        var chain = ChainOf(fault).ToArray();
        if (fault is StartException)
            return fault.Message;
        if (chain.OfType<JsonException>().FirstOrDefault() is { LineNumber: { } line, BytePositionInLine: { } position } json)
            return $"{fault.Message} It is not JSON from line {line + 1}, position {position + 1} on: {ReasonOf(json)}\nPut the file right; --check reads it without starting anything.";
        return string.Join(' ', chain.Select(e => e.Message).Distinct(StringComparer.Ordinal));
    }

    private static string Failed(string[] args) => args switch
    {
        ["restore", "--check", ..] => "The backup is not proven whole.",
        ["restore", ..] => "Nothing was restored.",
        ["--check"] => "A start would fail.",
        _ => "SignSvc did not start.",
    };

    private static bool IsKnown(Exception fault) => fault is StartException or InvalidDataException;

    /// <summary>Without the place, which is counted from 0 there.</summary>
    private static string ReasonOf(JsonException json)
    {
        var end = json.Message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        return end < 0 ? json.Message : json.Message[..end];
    }

    private static IEnumerable<Exception> ChainOf(Exception fault)
    {
        for (var e = fault; e is not null; e = e.InnerException)
            yield return e;
    }
}
