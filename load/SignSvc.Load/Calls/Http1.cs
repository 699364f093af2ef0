using System.Collections.Concurrent;
using System.Net;

namespace SignSvc.Load.Calls;

/// <summary>HTTP/1.1: as many connections as there are calls at once; one that is free is used again.</summary>
internal sealed class Http1(Uri target) : ITransport
{
    private readonly DnsEndPoint _endPoint = new(target.Host, target.Port);
    private readonly ConcurrentStack<Http1Connection> _free = new();

    public async ValueTask<Answer> SendAsync(Call call, CancellationToken cancellationToken)
    {
        var request = Http1Connection.Encode(call, target.Authority);
        if (!_free.TryPop(out var connection))
            connection = await Http1Connection.OpenAsync(_endPoint, cancellationToken);
        try
        {
            var answer = await connection.SendAsync(request, call.KeepsBody, cancellationToken);
            // The body goes with the connection to the next call.
            answer = answer with { Body = answer.Body.ToArray() };
            _free.Push(connection);
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
        while (_free.TryPop(out var connection))
            connection.Dispose();
        return ValueTask.CompletedTask;
    }
}
