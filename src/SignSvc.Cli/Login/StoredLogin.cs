using System.Security.Cryptography;
using System.Text.Json;
using SignSvc.Cli.Http;

namespace SignSvc.Cli.Login;

/// <summary>The login that is kept between commands: one file, mode 0600, in a folder of mode 0700.</summary>
internal sealed record StoredLogin(string Url, string Token)
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode Others =
        UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    /// <summary>XDG Base Directory Specification: a relative <c>XDG_CONFIG_HOME</c> is ignored.</summary>
    public static string FilePath
    {
        get
        {
            var home = Environment.GetEnvironmentVariable("XDG_CONFIG_HOME") is { } given && Path.IsPathRooted(given)
                ? given
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".config");
            return Path.Combine(home, "signsvc", "config.json");
        }
    }

    /// <returns>Null where nobody has logged in.</returns>
    /// <exception cref="CommandException"><see cref="ExitCode.Usage"/>: it is damaged, or others can read it.</exception>
    public static StoredLogin? Read()
    {
        var path = FilePath;
        if (!File.Exists(path))
            return null;
        if ((File.GetUnixFileMode(path) & Others) != UnixFileMode.None)
            throw CommandException.Usage($"The stored login {path} can be read by others.", $"Run 'chmod 600 {path}'; if they may have read it, have the credential revoked.");
        try
        {
            if (JsonSerializer.Deserialize(File.ReadAllBytes(path), CliJson.Default.StoredLogin) is { Url: not null, Token: not null } login)
                return login;
        }
        catch (JsonException e)
        {
            throw Damaged(path, e);
        }

        throw Damaged(path, inner: null);
    }

    /// <summary>Replaces the login that was there: readers see the old one or the new one, and others see neither.</summary>
    public async Task SaveAsync(CancellationToken cancellationToken)
    {
        var path = FilePath;
        var folder = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(folder, OwnerOnly | UnixFileMode.UserExecute);
        var draft = $"{path}.{RandomNumberGenerator.GetHexString(8, lowercase: true)}";
        try
        {
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly };
            await using (var file = new FileStream(draft, options))
                await JsonSerializer.SerializeAsync(file, this, CliJson.Default.StoredLogin, cancellationToken);
            File.Move(draft, path, overwrite: true);
        }
        finally
        {
            File.Delete(draft);
        }
    }

    /// <summary>Keeps the token out of logs and messages.</summary>
    public override string ToString() => $"{nameof(StoredLogin)} {{ Url = {Url} }}";

    private static CommandException Damaged(string path, JsonException? inner) =>
        CommandException.Usage($"The stored login {path} is damaged.", "Run 'signsvc login' after deleting it.", inner);
}
