using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using SignSvc.Signing.Backends.Software;

namespace SignSvc.Embedded;

/// <summary>
/// The one folder of the embedded default (0700): the database, the root key (0600), the first administrator's
/// credential (0600), and the lock that keeps a second process out for as long as this one lives.
/// </summary>
public sealed partial class DataFolder : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private const UnixFileMode Others =
        UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    private readonly FileStream? _lock;

    private DataFolder(string path, FileStream? @lock)
    {
        FolderPath = path;
        _lock = @lock;
    }

    public string FolderPath { get; }

    /// <summary>What waits for a database that cannot be reached.</summary>
    public string Spool => Path.Combine(FolderPath, "spool.db");

    public string Database => Path.Combine(FolderPath, "signsvc.db");

    public string BootstrapCredential => Path.Combine(FolderPath, "bootstrap.credential");

    /// <exception cref="StartException">It cannot be made, is read-only, or is in use.</exception>
    public static DataFolder Open(string path)
    {
        // SQLite makes its own files: this keeps them from others too, whatever the shell's mask was.
        _ = SetFileModeMask(Convert.ToInt32("077", 8));
        try
        {
            if (!Directory.Exists(path))
                Directory.CreateDirectory(path, OwnerOnly);
            var folder = new DataFolder(path, Lock(Path.Combine(path, "lock")));
            folder.KeepOthersOut();
            return folder;
        }
        catch (Exception e) when (e is UnauthorizedAccessException or (IOException and not FileNotFoundException))
        {
            throw new StartException(
                $"The data folder {path} cannot be used: {e.Message}\n"
                + "It must belong to the user that runs SignSvc, be writable, and not be on a full disk. Another folder: SIGNSVC_DATA=/path.", e);
        }
    }

    /// <summary>For reading the root key alone: nothing is locked, made or changed.</summary>
    public static DataFolder Look(string path) => new(path, @lock: null);

    public bool HasRootKey(string? elsewhere) => File.Exists(elsewhere ?? Path.Combine(FolderPath, "root.key"));

    /// <summary>Reads the root key, or makes it where there is nothing yet that it could belong to.</summary>
    /// <exception cref="StartException">It is missing, damaged, or readable by others.</exception>
    public RootKey OpenRootKey(string? elsewhere)
    {
        var path = elsewhere ?? Path.Combine(FolderPath, "root.key");
        if (!File.Exists(path))
        {
            if (File.Exists(Database) || elsewhere is not null)
            {
                throw new StartException(
                    $"The root key {path} is missing. Nothing stored in {FolderPath} opens without it: put the file back from your backup. "
                    + "To begin anew, use another data folder.");
            }

            WriteNewRootKey(path);
        }

        if (elsewhere is null && (File.GetUnixFileMode(path) & Others) != UnixFileMode.None)
            throw new StartException($"The root key {path} can be read by others. Run: chmod 600 {path}");
        return ReadRootKey(path);
    }

    public void Dispose() => _lock?.Dispose();

    private static void WriteNewRootKey(string path)
    {
        using var key = RootKey.Generate();
        Span<byte> root = stackalloc byte[RootKey.Length];
        Span<byte> text = stackalloc byte[45];
        key.CopyTo(root);
        try
        {
            System.Buffers.Text.Base64.EncodeToUtf8(root, text, out _, out var written);
            text[written] = (byte)'\n';
            DurableFile.Write(path, text[..(written + 1)]);
        }
        catch (IOException e)
        {
            throw new StartException($"The root key cannot be written: {e.Message}", e);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(root);
            CryptographicOperations.ZeroMemory(text);
        }
    }

    private static RootKey ReadRootKey(string path)
    {
        Span<byte> root = stackalloc byte[RootKey.Length + 2];
        var text = File.ReadAllBytes(path);
        try
        {
            var trimmed = text.AsSpan().TrimEnd("\r\n "u8);
            var isWhole = trimmed.Length == 44
                && System.Buffers.Text.Base64.DecodeFromUtf8(trimmed, root, out _, out var written) == System.Buffers.OperationStatus.Done
                && written == RootKey.Length;
            return isWhole
                ? new RootKey(root[..RootKey.Length])
                : throw new StartException($"The root key {path} is damaged: it must hold the base64 of {RootKey.Length} bytes. Put it back from your backup.");
        }
        finally
        {
            CryptographicOperations.ZeroMemory(text);
            CryptographicOperations.ZeroMemory(root);
        }
    }

    private static FileStream Lock(string path)
    {
        try
        {
            var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            file.SetLength(0);
            file.Write(Encoding.ASCII.GetBytes($"{Environment.ProcessId}\n"));
            file.Flush();
            return file;
        }
        catch (IOException e) when (IsHeld(e))
        {
            throw new StartException(
                $"The data folder {Path.GetDirectoryName(path)} is in use by another SignSvc. Stop that one, or use another folder: SIGNSVC_DATA=/path.", e);
        }
    }

    /// <summary>EWOULDBLOCK of flock(2), as .NET reports it.</summary>
    private static bool IsHeld(IOException e) => e.HResult == 11;

    /// <summary>Where the folder belongs to us it is closed to others; a mounted volume of another owner is left as it is.</summary>
    private void KeepOthersOut()
    {
        if (File.GetUnixFileMode(FolderPath) == OwnerOnly)
            return;
        try
        {
            File.SetUnixFileMode(FolderPath, OwnerOnly);
        }
        catch (UnauthorizedAccessException)
        {
            // Not ours to close: the files in it are 0600 all the same.
        }
    }

    [LibraryImport("libc", EntryPoint = "umask")]
    private static partial int SetFileModeMask(int mask);
}
