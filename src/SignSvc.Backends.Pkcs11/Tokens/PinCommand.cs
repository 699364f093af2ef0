using System.Diagnostics;
using SignSvc.Signing;

namespace SignSvc.Backends.Pkcs11.Tokens;

/// <summary>A program whose first line of output is the PIN. It has a bounded time, and so has whatever it starts.</summary>
internal sealed class PinCommand(IList<string> command, TimeSpan deadline)
{
    /// <returns>The length of the first line, which is in the buffer.</returns>
    public int Run(byte[] buffer)
    {
        var start = new ProcessStartInfo(command[0], command.Skip(1))
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
        };
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        using var late = new CancellationTokenSource(deadline);
        try
        {
            // Blocks the thread that connects, which is there to be blocked.
            return RunAsync(process, buffer, late.Token).GetAwaiter().GetResult();
        }
        catch (OperationCanceledException e)
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
            throw new SigningException(
                SigningFault.BackendFailed,
                $"The PIN command {command[0]} did not end within {deadline.TotalSeconds:0.#} s with its first line printed, or something it started keeps its output open.",
                e);
        }
    }

    private async Task<int> RunAsync(Process process, byte[] buffer, CancellationToken late)
    {
        var output = process.StandardOutput.BaseStream;
        var length = await ReadLineAsync(output, buffer, late).WaitAsync(late);
        // Read on, so that it does not fail at writing more; but not to the end, which somebody else may keep open.
        var rest = output.CopyToAsync(Stream.Null, late);
        await process.WaitForExitAsync(late);
        if (process.ExitCode != 0)
            throw new SigningException(SigningFault.BackendFailed, $"The PIN command {command[0]} ended with {process.ExitCode}.");
        if (rest.IsFaulted)
            await rest;
        return length;
    }

    private async Task<int> ReadLineAsync(Stream output, byte[] buffer, CancellationToken late)
    {
        for (var length = 0; length < buffer.Length;)
        {
            var read = await output.ReadAsync(buffer.AsMemory(length), late);
            var end = buffer.AsSpan(length, read).IndexOf((byte)'\n');
            if (end >= 0)
                return length + end;
            if (read == 0)
                return length;
            length += read;
        }

        throw new SigningException(SigningFault.BackendFailed, $"The PIN command {command[0]} prints a line of {buffer.Length} bytes or more.");
    }
}
