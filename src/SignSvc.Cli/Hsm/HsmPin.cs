using System.CommandLine;
using SignSvc.Backends.Pkcs11;

namespace SignSvc.Cli.Hsm;

/// <summary>
/// Where the PIN is. The PIN itself is no argument, since every user of a machine sees arguments; the backend reads it
/// at the login and zeroes it after.
/// </summary>
internal sealed record HsmPin(string? File, string? Variable)
{
    public bool IsNamed => File is not null || Variable is not null;

    public static HsmPin Of(ParseResult parsed, Option<string?> file, Option<string?> variable)
    {
        var pin = new HsmPin(parsed.GetValue(file) is { } path ? Path.GetFullPath(path) : null, parsed.GetValue(variable));
        if (pin is { File: not null, Variable: not null })
            throw CommandException.Usage("Name the PIN by --pin-file or by --pin-env, not by both.");
        if (pin.File is not null)
            InputFile.Open(pin.File).Dispose();
        if (pin.Variable is not null && string.IsNullOrEmpty(Environment.GetEnvironmentVariable(pin.Variable)))
            throw CommandException.Usage($"The environment variable {pin.Variable} is not set.");
        return pin;
    }

    public void AddTo(Pkcs11TokenOptions options)
    {
        options.PinFile = File;
        options.PinEnvironmentVariable = Variable;
    }
}
