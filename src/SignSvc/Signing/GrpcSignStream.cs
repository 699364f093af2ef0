using System.Threading.Channels;
using SignSvc.Access;
using SignSvc.Grpc;
using V1 = SignSvc.Grpc.V1;

namespace SignSvc.Signing;

/// <summary>
/// One <c>SignStream</c> call. A request holds one of a fixed number of slots from when it is read until its answer is in
/// the client's flow control window: a client that does not read its answers is soon not read from either, and the memory
/// of a stream is bounded. The credential is looked at again for every request, since a stream may outlive it.
/// </summary>
internal sealed class GrpcSignStream(
    GrpcSigning signing, ResponseWriter<V1.SignStreamResponse> responses, GrpcCall call, int parallelism) : IDisposable
{
    private readonly Channel<V1.SignStreamResponse> _answers = Channel.CreateUnbounded<V1.SignStreamResponse>(
        new UnboundedChannelOptions { SingleReader = true });

    private readonly SemaphoreSlim _slots = new(parallelism, parallelism);

    /// <summary>Requests in work, and one for the reading itself; whoever takes it to zero ends the answers.</summary>
    private int _pending = 1;

    /// <summary>Returns when nothing of this stream runs any more. What was read before a refusal is still answered.</summary>
    public async ValueTask RunAsync(IAsyncEnumerable<V1.SignStreamRequest> requests)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(call.CancellationToken);
        var writing = WriteAsync(stop);
        var reading = ReadAsync(requests, stop.Token);
        await Task.WhenAll(writing, reading).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        // Where both failed, writing failed first: it is what stops the reading.
        await writing;
        await reading;
    }

    public void Dispose() => _slots.Dispose();

    private async Task ReadAsync(IAsyncEnumerable<V1.SignStreamRequest> requests, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var request in requests.WithCancellation(cancellationToken))
            {
                var caller = await call.HttpContext.RecogniseAgainAsync();
                await _slots.WaitAsync(cancellationToken);
                Interlocked.Increment(ref _pending);
                _ = AnswerAsync(caller, request, cancellationToken);
            }
        }
        finally
        {
            Finish();
        }
    }

    private async Task AnswerAsync(Access.Caller caller, V1.SignStreamRequest request, CancellationToken cancellationToken)
    {
        try
        {
            var wish = request.Request ?? throw Wishes.Invalid("request is missing.");
            Answer(request.Id, new V1.SignResult { Signed = await signing.SignAsync(caller, wish, cancellationToken) });
        }
        catch (SigningException fault)
        {
            Answer(request.Id, new V1.SignResult { Fault = Faults.Of(fault).ToStatus() });
        }
        catch (Exception e) when (e is not SigningException)
        {
            // Nobody awaits this task: whatever it is, the stream ends with what the protocol's edge makes of it.
            _answers.Writer.TryComplete(e);
        }
        finally
        {
            Finish();
        }
    }

    private void Answer(ulong id, V1.SignResult result) =>
        _answers.Writer.TryWrite(new V1.SignStreamResponse { Id = id, Result = result });

    private void Finish()
    {
        if (Interlocked.Decrement(ref _pending) == 0)
            _answers.Writer.TryComplete();
    }

    private async Task WriteAsync(CancellationTokenSource stop)
    {
        try
        {
            while (await _answers.Reader.WaitToReadAsync(CancellationToken.None))
            {
                // To the back of the thread pool's queue: answers of the commit that made the first one ready come into
                // this piece. It costs an idle service nothing, and a busy one far fewer writes to its sockets.
                await Task.Yield();
                while (_answers.Reader.TryRead(out var answer))
                {
                    await responses.WriteAsync(answer, flush: !_answers.Reader.TryPeek(out _));
                    _slots.Release();
                }
            }
        }
        catch
        {
            await stop.CancelAsync();
            throw;
        }
    }
}
