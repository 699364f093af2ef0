using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using SignSvc.Signing;

namespace SignSvc.Backends.Pkcs11.Tokens;

/// <summary>
/// Fetches the PIN for each login anew; the bytes live in pinned memory until the login is done and are zeroed then. A
/// PIN that the token refused is never sent again until its source gives another: three tries lock most tokens.
/// </summary>
internal sealed class PinSource(Pkcs11TokenOptions options)
{
    private const int LongestPin = 1024;
    private static readonly TimeSpan CommandDeadline = TimeSpan.FromSeconds(10);

    private readonly byte[] _fingerprintKey = RandomNumberGenerator.GetBytes(32);
    private byte[]? _refused;

    /// <returns>Null where no source is configured.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.BackendFailed"/>: no PIN to be had, or only the refused one.</exception>
    public byte[]? Read()
    {
        var buffer = GC.AllocateArray<byte>(LongestPin, pinned: true);
        try
        {
            var length = Fill(buffer);
            if (length < 0)
                return null;
            var pin = buffer.AsSpan(0, length).TrimEnd("\r\n"u8);
            if (pin.IsEmpty)
                throw new SigningException(SigningFault.BackendFailed, "The source of the PIN is empty.");
            if (_refused is not null && CryptographicOperations.FixedTimeEquals(_refused, HMACSHA256.HashData(_fingerprintKey, pin)))
                throw new SigningException(SigningFault.BackendFailed, "The token refused the PIN; its source still gives the same.");
            var copy = GC.AllocateUninitializedArray<byte>(pin.Length, pinned: true);
            pin.CopyTo(copy);
            return copy;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(buffer);
        }
    }

    public void Refuse(byte[] pin) => _refused = HMACSHA256.HashData(_fingerprintKey, pin);

    private int Fill(byte[] buffer)
    {
        try
        {
            if (options.PinFile is not null)
            {
                using var file = new FileStream(options.PinFile, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
                return ReadAll(file, buffer);
            }

            if (options.PinEnvironmentVariable is not null)
            {
                var value = Environment.GetEnvironmentVariable(options.PinEnvironmentVariable)
                    ?? throw new SigningException(
                        SigningFault.BackendFailed, $"The environment variable {options.PinEnvironmentVariable} is not set.");
                return Encoding.UTF8.GetBytes(value, buffer);
            }

            return options.PinCommand.Count > 0 ? Run(buffer) : -1;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or System.ComponentModel.Win32Exception)
        {
            throw new SigningException(SigningFault.BackendFailed, "The source of the PIN cannot be read.", e);
        }
    }

    private int Run(byte[] buffer)
    {
        var start = new ProcessStartInfo(options.PinCommand[0], options.PinCommand.Skip(1))
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
        };
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        using var late = new CancellationTokenSource(CommandDeadline);
        using var kill = late.Token.Register(() => process.Kill(entireProcessTree: true));
        var length = ReadAll(process.StandardOutput.BaseStream, buffer);
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new SigningException(SigningFault.BackendFailed, $"The command for the PIN ended with {process.ExitCode}.");
        var line = buffer.AsSpan(0, length).IndexOf((byte)'\n');
        return line < 0 ? length : line;
    }

    private static int ReadAll(Stream stream, byte[] buffer)
    {
        var length = stream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
        return length < buffer.Length
            ? length
            : throw new SigningException(SigningFault.BackendFailed, $"The source of the PIN gives {LongestPin} bytes or more.");
    }
}
