using Microsoft.AspNetCore.Http;

namespace SignSvc.Grpc.Wire;

/// <summary>The client's deadline, and a token that fires when it passes or the request is aborted.</summary>
internal sealed class CallDeadline : IDisposable
{
    private readonly CancellationTokenSource _source;
    private readonly CancellationTokenRegistration _aborted;
    private readonly TimeProvider _time;

    private CallDeadline(HttpContext http, TimeSpan timeout, TimeProvider time)
    {
        _time = time;
        At = time.GetUtcNow() + timeout;
        _source = new CancellationTokenSource(timeout, time);
        _aborted = http.RequestAborted.UnsafeRegister(static s => ((CancellationTokenSource)s!).Cancel(), _source);
    }

    public DateTimeOffset At { get; }

    public CancellationToken Token => _source.Token;

    /// <summary>
    /// By the clock, or by the timer, which may run a moment ahead of it. True after an abort too: whoever wants to
    /// know one from the other asks for the abort first.
    /// </summary>
    public bool HasPassed => _source.IsCancellationRequested || _time.GetUtcNow() >= At;

    /// <summary>Null if the client set no deadline.</summary>
    /// <exception cref="GrpcException"><see cref="StatusCode.Internal"/>: <c>grpc-timeout</c> cannot be read.</exception>
    public static CallDeadline? Start(HttpContext http, TimeProvider time)
    {
        var header = http.Request.Headers.GrpcTimeout;
        if (header.Count == 0)
            return null;
        if (header.Count > 1 || !TimeoutHeader.TryParse(header[0], out var timeout))
            throw new GrpcException(StatusCode.Internal, "The header grpc-timeout is malformed.");
        return new CallDeadline(http, timeout, time);
    }

    public static GrpcException Exceeded() => new(StatusCode.DeadlineExceeded, "The deadline passed.");

    public void Dispose()
    {
        _aborted.Dispose();
        _source.Dispose();
    }
}
