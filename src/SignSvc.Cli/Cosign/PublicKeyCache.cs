using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using SignSvc.Cli.Login;

namespace SignSvc.Cli.Cosign;

/// <param name="Until">Unix time in milliseconds.</param>
internal sealed record CachedPublicKey(string Pem, long Until);

/// <summary>
/// The public key between the processes that one cosign starts for one signature (it asks up to three times). The next
/// cosign asks the service again, and so misses no rotation. Of this URL, credential and key alone; in a folder that
/// nobody else can write. Whatever is wrong with a file, it is as if it were not there.
/// </summary>
internal sealed class PublicKeyCache(Connection connection, string key, int? version, TimeProvider time)
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode Others =
        UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute
        | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;
    private const int MaxFileBytes = 16 * 1024;

    /// <summary>Programs that sign for days start the plugin themselves, too.</summary>
    private static readonly TimeSpan LongestLifetime = TimeSpan.FromSeconds(30);

    /// <summary>Where one cosign is not told from the next: about as long as a signature takes.</summary>
    private static readonly TimeSpan LifetimeForAnybody = TimeSpan.FromSeconds(2);

    private static readonly string? Asker = AskingProcess.Identify();
    private static readonly TimeSpan Lifetime = Asker is null ? LifetimeForAnybody : LongestLifetime;

    private readonly string? _path = PathOf(connection, key, version);

    public string? Find()
    {
        if (_path is null || !File.Exists(_path))
            return null;
        try
        {
            if (!IsOurs(Path.GetDirectoryName(_path)!) || new FileInfo(_path).Length > MaxFileBytes)
                return null;
            var cached = JsonSerializer.Deserialize(File.ReadAllBytes(_path), PluginJson.Default.CachedPublicKey);
            var now = time.GetUtcNow().ToUnixTimeMilliseconds();
            // A clock that was set back must not keep an entry alive.
            return cached is not null && cached.Until > now && cached.Until <= now + Lifetime.TotalMilliseconds ? cached.Pem : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    public void Keep(string pem)
    {
        if (_path is null)
            return;
        var folder = Path.GetDirectoryName(_path)!;
        var draft = $"{_path}.{RandomNumberGenerator.GetHexString(8, lowercase: true)}";
        try
        {
            Directory.CreateDirectory(folder, OwnerOnly | UnixFileMode.UserExecute);
            if (!IsOurs(folder))
                return;
            var entry = new CachedPublicKey(pem, (time.GetUtcNow() + Lifetime).ToUnixTimeMilliseconds());
            using (var file = new FileStream(draft, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly }))
                JsonSerializer.Serialize(file, entry, PluginJson.Default.CachedPublicKey);
            // Readers see the old entry or the new one, never a part.
            File.Move(draft, _path, overwrite: true);
            RemoveOld(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A read-only home: the next process asks the service again.
        }
    }

    public void Forget()
    {
        if (_path is not null)
            File.Delete(_path);
    }

    /// <summary>What former processes left behind, drafts too.</summary>
    private void RemoveOld(string folder)
    {
        var old = (time.GetUtcNow() - LongestLifetime).UtcDateTime;
        foreach (var file in Directory.EnumerateFiles(folder))
        {
            if (File.GetLastWriteTimeUtc(file) < old)
                File.Delete(file);
        }
    }

    /// <summary>XDG Base Directory Specification. Null where there is no home.</summary>
    private static string? PathOf(Connection connection, string key, int? version)
    {
        var cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { } given && Path.IsPathRooted(given)
            ? given
            : Environment.GetFolderPath(Environment.SpecialFolder.UserProfile) is { Length: > 0 } home ? Path.Combine(home, ".cache") : null;
        if (cache is null)
            return null;
        var name = SHA256.HashData(Encoding.UTF8.GetBytes($"{connection.Url}\n{connection.Token}\n{key}\n{version}\n{Asker}"));
        return Path.Combine(cache, "signsvc", "public-keys", Convert.ToHexStringLower(name));
    }

    private static bool IsOurs(string folder) => (File.GetUnixFileMode(folder) & Others) == UnixFileMode.None;
}
