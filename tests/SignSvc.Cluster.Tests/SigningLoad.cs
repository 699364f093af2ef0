using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace SignSvc.Cluster.Tests;

/// <summary>One answer, or none where the node did not answer.</summary>
internal sealed record Attempt(int Node, TimeSpan At, TimeSpan Took, int? Status, bool HasRetryAfter, string? AuditId, byte[] Digest, byte[]? Signature);

/// <summary>Callers that sign random digests at every node, one call after the other, and keep what they got.</summary>
internal sealed class SigningLoad : IAsyncDisposable
{
    private readonly Nodes _nodes;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentQueue<Attempt> _attempts = new();
    private readonly RunningTime _clock = RunningTime.Start();
    private readonly Task[] _callers;

    public SigningLoad(Nodes nodes, int callersOfEach)
    {
        _nodes = nodes;
        _callers = [.. Enumerable.Range(0, nodes.All.Count * callersOfEach).Select(i => Task.Run(() => CallAsync(i % nodes.All.Count)))];
    }

    public TimeSpan Now => _clock.Elapsed;

    public IReadOnlyCollection<Attempt> Attempts => _attempts;

    public IEnumerable<Attempt> Signed => _attempts.Where(a => a.Signature is not null);

    /// <summary>Until so many more signatures have come from a node.</summary>
    public async Task SignsAsync(int node, int more)
    {
        var reached = Count() + more;
        while (Count() < reached)
        {
            if (_callers.FirstOrDefault(c => c.IsFaulted) is { } faulted)
                await faulted;
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, TestContext.Current.CancellationToken);
        }

        int Count() => Signed.Count(a => a.Node == node);
    }

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_callers);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
        _clock.Dispose();
    }

    /// <summary>How long after <paramref name="moment"/> a node's first signature was asked for and given.</summary>
    public TimeSpan Recovery(int node, TimeSpan moment) => Signed.Where(a => a.Node == node && a.At >= moment).Min(a => a.At + a.Took) - moment;

    private async Task CallAsync(int node)
    {
        while (!_stop.IsCancellationRequested)
        {
            var digest = RandomNumberGenerator.GetBytes(32);
            var at = _clock.Elapsed;
            try
            {
                var answer = await _nodes[node].Client.PostJsonAsync(
                    "/v1/keys/release/sign", $$"""{"digest":"{{Convert.ToBase64String(digest)}}","encoding":"der"}""");
                var isSigned = answer.Code == 200;
                _attempts.Enqueue(new Attempt(
                    node, at, _clock.Elapsed - at, answer.Code, answer.Headers.RetryAfter is not null,
                    isSigned ? answer["auditId"] : null, digest, isSigned ? Convert.FromBase64String(answer["signature"]) : null));
                if (!isSigned)
                    await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, TestContext.Current.CancellationToken);
            }
            catch (Exception e) when (e is HttpRequestException or InvalidOperationException or ObjectDisposedException)
            {
                _attempts.Enqueue(new Attempt(node, at, _clock.Elapsed - at, null, HasRetryAfter: false, null, digest, null));
                await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, TestContext.Current.CancellationToken);
            }
        }
    }
}
