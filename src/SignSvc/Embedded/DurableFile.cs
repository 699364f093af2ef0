using System.ComponentModel;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace SignSvc.Embedded;

/// <summary>
/// Writes a small file so that it is wholly there or not at all, also after a power cut: a temporary file, fsync, rename,
/// fsync of the folder. It calls fsync itself because .NET's own flush returns normally when fsync fails.
/// </summary>
internal static partial class DurableFile
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Mode 0600. An existing file is replaced.</summary>
    /// <exception cref="IOException">It may not be there.</exception>
    public static void Write(string path, ReadOnlySpan<byte> content)
    {
        var temporary = path + ".new";
        File.Delete(temporary);
        using (var file = new FileStream(temporary, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = OwnerOnly,
        }))
        {
            file.Write(content);
            file.Flush();
            Sync(file.SafeFileHandle, temporary);
        }

        Move(temporary, path);
    }

    /// <summary>Gives a file, whose content is durable, another name in the same folder, durably.</summary>
    /// <exception cref="IOException">It may have either name.</exception>
    public static void Move(string from, string path)
    {
        File.Move(from, path, overwrite: true);
        using var folder = OpenFolder(Path.GetDirectoryName(path)!);
        Sync(folder, path);
    }

    private static SafeFileHandle OpenFolder(string path)
    {
        const int readOnlyDirectoryCloseOnExec = 0x10000 | 0x80000;
        var descriptor = Open(path, readOnlyDirectoryCloseOnExec);
        return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true) : throw Failed(path);
    }

    private static void Sync(SafeFileHandle handle, string path)
    {
        if (FSync(handle) != 0)
            throw Failed(path);
    }

    private static IOException Failed(string path) =>
        new($"{path} cannot be made durable: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}.");

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FSync(SafeFileHandle handle);
}
