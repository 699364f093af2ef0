using System.Text.Json;
using SignSvc.Emulation.Aliases;
using SignSvc.Emulation.Keys;

namespace SignSvc.Emulation;

/// <summary>
/// The world in a JSON file, private keys included: a test's file, not a vault. It is replaced as a whole before the
/// answer to a change leaves, so it survives the end of the process (not a power failure).
/// </summary>
internal sealed class StateFile(string path) : IDisposable
{
    // Multi-Region keys share their material: references are kept.
    private static readonly JsonSerializerOptions Json = new()
    {
        ReferenceHandler = System.Text.Json.Serialization.ReferenceHandler.Preserve,
        WriteIndented = true,
    };

    private readonly SemaphoreSlim _writing = new(1);
    private long _savedVersion;

    public void LoadInto(World world)
    {
        if (!File.Exists(path))
            return;
        using var stream = File.OpenRead(path);
        var content =
            JsonSerializer.Deserialize<Content>(stream, Json)
            ?? throw new InvalidDataException($"{path} holds no state.");
        foreach (var key in content.Keys)
            world.Add(key);
        foreach (var alias in content.Aliases)
            world.Add(alias);
    }

    /// <summary>
    /// Writes the world unless what the caller changed is on disk already with someone else's change. It cannot be
    /// cancelled: a change is kept even if the one who asked for it has left.
    /// </summary>
    public async Task SaveAsync(World world)
    {
        long version;
        lock (world.Gate)
            version = world.Version;
        if (Interlocked.Read(ref _savedVersion) >= version)
            return;
        await _writing.WaitAsync();
        try
        {
            if (Interlocked.Read(ref _savedVersion) >= version)
                return;
            byte[] bytes;
            lock (world.Gate)
            {
                version = world.Version;
                bytes = JsonSerializer.SerializeToUtf8Bytes(
                    new Content { Keys = [.. world.Keys], Aliases = [.. world.Aliases] },
                    Json);
            }

            var next = path + ".next";
            await File.WriteAllBytesAsync(next, bytes);
            File.Move(next, path, overwrite: true);
            Interlocked.Exchange(ref _savedVersion, version);
        }
        finally
        {
            _writing.Release();
        }
    }

    public void Dispose() => _writing.Dispose();

    private sealed class Content
    {
        public List<KmsKey> Keys { get; init; } = [];

        public List<Alias> Aliases { get; init; } = [];
    }
}
