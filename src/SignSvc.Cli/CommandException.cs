namespace SignSvc.Cli;

/// <summary>Why a command ends without having done what it was asked to, in words for its user.</summary>
/// <param name="exitCode">One of <see cref="Cli.ExitCode"/>.</param>
/// <param name="message">One sentence or two; never holds a secret.</param>
/// <param name="next">What the user can do about it.</param>
/// <param name="status">The HTTP status, where the service refused.</param>
internal sealed class CommandException(int exitCode, string message, string? next = null, Exception? inner = null, int? status = null)
    : Exception(message, inner)
{
    public int ExitCode { get; } = exitCode;

    public string? Next { get; } = next;

    public int? Status { get; } = status;

    public static CommandException Usage(string message, string? next = null, Exception? inner = null) =>
        new(Cli.ExitCode.Usage, message, next, inner);
}
