using System.Text;

namespace SignSvc.Cli;

/// <summary>Files that commands read; <c>-</c> is standard input.</summary>
internal static class InputFile
{
    public const string StandardInput = "-";

    public static string NameOf(string path) =>
        string.Equals(path, StandardInput, StringComparison.Ordinal) ? "standard input" : path;

    /// <summary>For a stream that is read once from its beginning to its end.</summary>
    public static Stream Open(string path)
    {
        if (string.Equals(path, StandardInput, StringComparison.Ordinal))
            return Console.OpenStandardInput();
        if (Directory.Exists(path))
            throw CommandException.Usage($"{path} is a folder.");
        try
        {
            // Read in large pieces by the caller: no buffer of its own.
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw CommandException.Usage($"{path} does not exist.", inner: e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CommandException.Usage($"{path} cannot be read: {e.Message}", inner: e);
        }
    }

    /// <summary>Reads a small file whole.</summary>
    /// <exception cref="CommandException"><see cref="ExitCode.Usage"/>: it is larger than <paramref name="maxBytes"/>.</exception>
    public static async Task<byte[]> ReadAsync(string path, int maxBytes, CancellationToken cancellationToken)
    {
        await using var stream = Open(path);
        var buffer = new byte[maxBytes + 1];
        var length = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
        return length <= maxBytes
            ? buffer[..length]
            : throw CommandException.Usage($"{NameOf(path)} is larger than {maxBytes} bytes: it is not what belongs here.");
    }

    /// <summary>Reads a small file of text, without the white space around it.</summary>
    public static async Task<string> ReadTextAsync(string path, int maxBytes, CancellationToken cancellationToken) =>
        Encoding.UTF8.GetString(await ReadAsync(path, maxBytes, cancellationToken)).Trim();
}
