using System.Buffers;
using System.Text.Json;

namespace SignSvc.Signing;

/// <summary>
/// A text of JSON that is soon copied elsewhere: its bytes are rented and go back when it is disposed. One that never is
/// costs the pool an array and nothing else. Large texts are not rented: the pool would keep many such arrays for ever.
/// </summary>
internal sealed class JsonText(int expectedBytes) : IBufferWriter<byte>, IDisposable
{
    private const int MostRented = 64 * 1024;

    private static readonly JsonWriterOptions Compact = new() { SkipValidation = true };

    [ThreadStatic]
    private static Utf8JsonWriter? _writerOfThread;

    private byte[] _bytes = Take(expectedBytes);

    public int Length { get; private set; }

    /// <summary>Until more is written, or it is disposed.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes.AsSpan(0, Length);

    /// <summary>This thread's writer, over this text: until the thread begins another text, or waits. Has to be flushed.</summary>
    public Utf8JsonWriter Write()
    {
        if (_writerOfThread is not { } writer)
            return _writerOfThread = new Utf8JsonWriter(this, Compact);
        writer.Reset(this);
        return writer;
    }

    public void Advance(int count) => Length += count;

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Grow(Math.Max(1, sizeHint));
        return _bytes.AsMemory(Length);
    }

    public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    /// <summary>The bytes, for whoever keeps them; the text is empty from then on.</summary>
    public ReadOnlyMemory<byte> Detach()
    {
        var detached = _bytes.AsMemory(0, Length);
        (_bytes, Length) = ([], 0);
        return detached;
    }

    public void Dispose()
    {
        GiveBack(_bytes);
        (_bytes, Length) = ([], 0);
    }

    private void Grow(int more)
    {
        if (_bytes.Length - Length >= more)
            return;
        var larger = Take(Math.Max(2 * _bytes.Length, Length + more));
        Bytes.CopyTo(larger);
        GiveBack(_bytes);
        _bytes = larger;
    }

    private static byte[] Take(int length) =>
        length <= MostRented ? ArrayPool<byte>.Shared.Rent(length) : GC.AllocateUninitializedArray<byte>(length);

    private static void GiveBack(byte[] bytes)
    {
        if (bytes.Length is > 0 and <= MostRented)
            ArrayPool<byte>.Shared.Return(bytes);
    }
}
