using System.Globalization;
using System.Runtime.InteropServices;
using System.Xml.Linq;

namespace SignSvc.Backends.Tests.Pkcs11;

/// <summary>What malloc has given out and not got back, in all its arenas, as glibc counts it (malloc_info(3)).</summary>
internal static partial class NativeHeap
{
    public static long BytesInUse()
    {
        var path = Path.GetTempFileName();
        try
        {
            var file = Open(path, "w");
            Assert.NotEqual(0, file);
            Assert.Equal(0, Info(0, file));
            Assert.Equal(0, Close(file));
            var malloc = XDocument.Load(path).Root!;
            return Total(malloc, "system", "current") + Total(malloc, "total", "mmap") - Total(malloc, "total", "fast") - Total(malloc, "total", "rest");
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>Beneath the root stand the sums of the arenas.</summary>
    private static long Total(XElement malloc, string element, string type) => long.Parse(
        malloc.Elements(element).Single(e => string.Equals(e.Attribute("type")?.Value, type, StringComparison.Ordinal)).Attribute("size")!.Value, CultureInfo.InvariantCulture);

    [LibraryImport("libc", EntryPoint = "fopen", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint Open(string path, string mode);

    [LibraryImport("libc", EntryPoint = "malloc_info")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Info(int options, nint file);

    [LibraryImport("libc", EntryPoint = "fclose")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Close(nint file);
}
