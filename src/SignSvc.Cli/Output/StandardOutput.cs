namespace SignSvc.Cli.Output;

/// <summary>What was asked for, as bytes: it may be binary and it may be piped on.</summary>
internal static class StandardOutput
{
    public static async Task WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        await using var output = Console.OpenStandardOutput();
        await output.WriteAsync(bytes, cancellationToken);
    }

    public static async Task WriteLineAsync(ReadOnlyMemory<byte> line, CancellationToken cancellationToken)
    {
        await WriteAsync(line, cancellationToken);
        await WriteAsync("\n"u8.ToArray(), cancellationToken);
    }
}
