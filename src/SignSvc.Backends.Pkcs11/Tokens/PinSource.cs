using System.Security.Cryptography;
using System.Text;
using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Signing;

namespace SignSvc.Backends.Pkcs11.Tokens;

/// <summary>
/// Fetches the PIN for each login anew; the bytes live in pinned memory until the login is done and are zeroed then. A
/// PIN that the token refused is sent again only when its source gives another or the token says that it may be right by
/// now: three tries lock most tokens.
/// </summary>
internal sealed class PinSource(Pkcs11TokenOptions options, TimeProvider time)
{
    private const int LongestPin = 1024;

    /// <summary>What a token shows after a wrong PIN until a right one (PKCS#11 v2.40 section 3.2). Not every token does.</summary>
    private const nuint Wary = CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED;

    private static readonly TimeSpan CommandDeadline = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan RetryPause = TimeSpan.FromMinutes(5);

    private readonly byte[] _fingerprintKey = RandomNumberGenerator.GetBytes(32);
    private RefusedPin? _refused;

    /// <param name="flags">Of the token, as it shows them now.</param>
    /// <returns>Null where no source is configured.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.BackendFailed"/>: no PIN to be had, or none that may be sent now.</exception>
    public byte[]? Read(nuint flags)
    {
        if (options is { PinFile: null, PinEnvironmentVariable: null, PinCommand.Count: 0 })
            return null;
        if ((flags & CKF_USER_PIN_LOCKED) != 0)
            throw Failed("The token's PIN is locked (CKF_USER_PIN_LOCKED). The security officer sets it anew; the service logs in by itself then.");
        if ((flags & CKF_USER_PIN_FINAL_TRY) != 0)
        {
            throw Failed(
                "One more wrong PIN locks the token (CKF_USER_PIN_FINAL_TRY), so none is sent. Log in with the right one by the vendor's "
                + "tools, or have it set anew; the service logs in by itself then.");
        }
        var buffer = GC.AllocateArray<byte>(LongestPin, pinned: true);
        try
        {
            var pin = buffer.AsSpan(0, Fill(buffer)).TrimEnd("\r\n"u8);
            if (pin.IsEmpty)
                throw Failed("The source of the PIN is empty.");
            if (IsRefused(pin) && !MayBeRightByNow(flags))
                throw Failed($"The token refused the PIN ({CryptokiException.NameOf(_refused!.Rv)}); its source still gives the same.{Advice(_refused.Rv)}");
            var copy = GC.AllocateUninitializedArray<byte>(pin.Length, pinned: true);
            pin.CopyTo(copy);
            return copy;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(buffer);
        }
    }

    /// <param name="flags">Of the token, as it shows them after the refusal.</param>
    /// <returns>What to say of it besides what the token answered.</returns>
    public string Refuse(byte[] pin, CK_RV rv, nuint flags)
    {
        _refused = new RefusedPin(Fingerprint(pin), rv, flags, time.GetTimestamp(), Times: IsRefused(pin) ? _refused!.Times + 1 : 1);
        return $" It is not sent again before its source gives another or the token's PIN was set anew.{Advice(rv)}";
    }

    private static string Advice(CK_RV rv) => rv == CKR_PIN_LOCKED ? " The token's PIN is locked." : "";

    private bool IsRefused(ReadOnlySpan<byte> pin) =>
        _refused is not null && CryptographicOperations.FixedTimeEquals(_refused.Fingerprint, Fingerprint(pin));

    /// <summary>
    /// Whether the PIN that was refused may be sent again without bringing the token nearer to locking itself: where it
    /// showed flags after the refusal and does no more, since its PIN was set anew. A token that shows none is given it once
    /// more, after a while; one that called its PIN locked as often as it likes, since a locked one counts no tries.
    /// </summary>
    private bool MayBeRightByNow(nuint flags)
    {
        if ((flags & Wary) != 0)
            return false;
        if ((_refused!.Flags & Wary) != 0)
            return true;
        return time.GetElapsedTime(_refused.At) >= RetryPause && (_refused.Rv == CKR_PIN_LOCKED || _refused.Times < 2);
    }

    private byte[] Fingerprint(ReadOnlySpan<byte> pin) => HMACSHA256.HashData(_fingerprintKey, pin);

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
                    ?? throw Failed($"The environment variable {options.PinEnvironmentVariable} is not set.");
                return Encoding.UTF8.GetBytes(value, buffer);
            }

            return new PinCommand(options.PinCommand, CommandDeadline).Run(buffer);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or System.ComponentModel.Win32Exception)
        {
            throw new SigningException(SigningFault.BackendFailed, "The source of the PIN cannot be read.", e);
        }
    }

    private static int ReadAll(Stream stream, byte[] buffer)
    {
        var length = stream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
        return length < buffer.Length
            ? length
            : throw Failed($"The source of the PIN gives {LongestPin} bytes or more.");
    }

    private static SigningException Failed(string why) => new(SigningFault.BackendFailed, why);

    private sealed record RefusedPin(byte[] Fingerprint, CK_RV Rv, nuint Flags, long At, int Times);
}
