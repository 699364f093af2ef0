using Google.Protobuf;
using SignSvc.Grpc.Wire;

namespace SignSvc.Grpc;

/// <summary>Where a streaming handler writes its answers. One write at a time: two at once are a fault of the handler.</summary>
public sealed class ResponseWriter<T> where T : class, IMessage<T>
{
    /// <summary>What is held back is sent at the latest when it reaches this many bytes.</summary>
    private const int MostHeldBack = 64 * 1024;

    private readonly MessageWriter _writer;
    private int _writing;

    internal ResponseWriter(MessageWriter writer) => _writer = writer;

    /// <summary>
    /// Sends a message; completes when the client's flow control has room for more. With <paramref name="flush"/> off
    /// it may be held back until a later write, a flush or the end of the call: for handlers that know that more
    /// messages follow at once.
    /// </summary>
    /// <exception cref="OperationCanceledException">The client is gone or the deadline passed.</exception>
    public async ValueTask WriteAsync(T message, bool flush = true)
    {
        Enter();
        try
        {
            _writer.Write(message);
            if (flush || _writer.Unflushed >= MostHeldBack)
                await _writer.FlushAsync();
        }
        finally
        {
            Volatile.Write(ref _writing, 0);
        }
    }

    /// <summary>Sends what was held back.</summary>
    public async ValueTask FlushAsync()
    {
        Enter();
        try
        {
            if (_writer.Unflushed > 0)
                await _writer.FlushAsync();
        }
        finally
        {
            Volatile.Write(ref _writing, 0);
        }
    }

    private void Enter()
    {
        if (Interlocked.Exchange(ref _writing, 1) != 0)
            throw new InvalidOperationException("Two writes to one response stream at once.");
    }
}
