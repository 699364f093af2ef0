using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace SignSvc.Operations.Tests;

/// <summary>
/// Callers as they stand behind a balancer: each keeps one connection to one node, one call after the other, and goes to
/// the other node when an answer says that the connection closes, or when nobody listens. Anything else is a loss.
/// </summary>
internal sealed class SteadyClients : IAsyncDisposable
{
    private const int Clients = 8;

    private readonly Func<IReadOnlyList<Uri>> _nodes;
    private readonly string _token;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentQueue<string> _signed = new();
    private readonly ConcurrentQueue<string> _lost = new();
    private readonly Task[] _clients;

    /// <param name="nodes">Where they are now; one that is gone may still be among them.</param>
    public SteadyClients(Func<IReadOnlyList<Uri>> nodes, string token)
    {
        _nodes = nodes;
        _token = token;
        _clients = [.. Enumerable.Range(0, Clients).Select(i => Task.Run(() => RunAsync(i)))];
    }

    /// <summary>Audit ids of the signatures that were given.</summary>
    public IReadOnlyCollection<string> Signed => _signed;

    /// <summary>Requests that a node had accepted and that have no signature, in words.</summary>
    public IReadOnlyCollection<string> Lost => _lost;

    public async Task SignAsync(int more)
    {
        var reached = _signed.Count + more;
        while (_signed.Count < reached && _lost.IsEmpty)
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, TestContext.Current.CancellationToken);
    }

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_clients);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private async Task RunAsync(int at)
    {
        while (!_stop.IsCancellationRequested)
        {
            var nodes = _nodes();
            using var handler = new SocketsHttpHandler { MaxConnectionsPerServer = 1, UseProxy = false };
            using var client = new HttpClient(handler) { BaseAddress = nodes[at++ % nodes.Count] };
            client.DefaultRequestHeaders.Authorization = new("Bearer", _token);
            while (!_stop.IsCancellationRequested && await SignAsync(client))
            {
            }
        }
    }

    /// <returns>Whether this node takes another.</returns>
    private async Task<bool> SignAsync(HttpClient client)
    {
        try
        {
            var answer = await client.PostJsonAsync("/v1/keys/release/sign", """{"message":"aGk="}""");
            if (answer.Status == HttpStatusCode.OK)
                _signed.Enqueue(answer["auditId"]);
            else
                _lost.Enqueue(answer.ToString());
            return answer.Headers.ConnectionClose != true;
        }
        catch (HttpRequestException e) when (e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionRefused })
        {
            return false;
        }
        catch (HttpRequestException e)
        {
            _lost.Enqueue(e.ToString());
            return false;
        }
    }
}
