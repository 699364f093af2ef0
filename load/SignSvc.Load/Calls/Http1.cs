using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;

namespace SignSvc.Load.Calls;

/// <summary>HTTP/1.1: as many connections as there are calls at once; one that is free is used again.</summary>
internal sealed class Http1(Uri target) : ITransport
{
    /// <summary>A connection that was idle for longer is not used again: Kestrel closes it after 130 s, and a call would meet the end.</summary>
    private static readonly TimeSpan IdleLimit = TimeSpan.FromSeconds(60);

    private readonly DnsEndPoint _endPoint = new(target.Host, target.Port);
    private readonly ConcurrentStack<(Http1Connection Connection, long FreedAt)> _free = new();

    public async ValueTask<Answer> SendAsync(Call call, CancellationToken cancellationToken)
    {
        var request = Http1Connection.Encode(call, target.Authority);
        var connection = TakeFree() ?? await Http1Connection.OpenAsync(_endPoint, cancellationToken);
        try
        {
            var answer = await connection.SendAsync(request, call.KeepsBody, cancellationToken);
            // The body goes with the connection to the next call.
            answer = answer with { Body = answer.Body.ToArray() };
            _free.Push((connection, Stopwatch.GetTimestamp()));
            return answer;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    public ValueTask DisposeAsync()
    {
        while (_free.TryPop(out var free))
            free.Connection.Dispose();
        return ValueTask.CompletedTask;
    }

    private Http1Connection? TakeFree()
    {
        // The one used last is on top: below one that is too old, all are.
        while (_free.TryPop(out var free))
        {
            if (Stopwatch.GetElapsedTime(free.FreedAt) < IdleLimit)
                return free.Connection;
            free.Connection.Dispose();
        }

        return null;
    }
}
