using System.Net;
using System.Net.Sockets;
using System.Text;

namespace SignSvc.Cli.Tests;

/// <summary>Answers every request with the same words, or with none: what no healthy service does.</summary>
public sealed class StrangeServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private readonly TaskCompletionSource _asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<string> _requests = [];
    private readonly string? _response;
    private readonly Task _serving;

    /// <param name="response">Null: it takes the request and never answers.</param>
    private StrangeServer(string? response)
    {
        _response = response;
        _listener.Start();
        _serving = ServeAsync();
    }

    public string Url => $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";

    /// <summary>Ends when the first request has come.</summary>
    public Task Asked => _asked.Task;

    /// <summary>Heads of the requests so far.</summary>
    public IReadOnlyList<string> Requests => _requests;

    public static StrangeServer Silent() => new(response: null);

    public static StrangeServer Answering(string status, string contentType, string body, string headers = "") => new(
        $"HTTP/1.1 {status}\r\nContent-Type: {contentType}\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\nConnection: close\r\n{headers}\r\n{body}");

    public static StrangeServer Refusing(int status, string code, string title, string detail, string headers = "") => Answering(
        $"{status} Refused", "application/problem+json",
        $$"""{"type":"urn:signsvc:problem:{{code}}","title":"{{title}}","status":{{status}},"detail":"{{detail}}","auditId":"local-7","traceId":"0af7651916cd43dd8448eb211c80319c"}""",
        headers);

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Stop();
        await _serving;
        _end.Dispose();
    }

    private async Task ServeAsync()
    {
        var kept = new List<TcpClient>();
        try
        {
            while (true)
            {
                var client = await _listener.AcceptTcpClientAsync(_end.Token);
                kept.Add(client);
                var buffer = new byte[64 * 1024];
                var length = await client.GetStream().ReadAsync(buffer, _end.Token);
                _requests.Add(Encoding.UTF8.GetString(buffer, 0, length));
                _asked.TrySetResult();
                if (_response is null)
                    continue;
                await client.GetStream().WriteAsync(Encoding.UTF8.GetBytes(_response), _end.Token);
                client.Client.Shutdown(SocketShutdown.Send);
            }
        }
        catch (OperationCanceledException)
        {
            kept.ForEach(c => c.Dispose());
        }
    }
}
