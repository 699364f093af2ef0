using System.Collections.Concurrent;

namespace SignSvc.Tests;

/// <summary>What a client was given, to be held against the service afterwards.</summary>
internal sealed record Given(string AuditId, string Action, string? Digest = null, string? TokenId = null);

/// <summary>Concurrent callers of one process that keep what they are given, until the process is gone.</summary>
internal sealed class Load : IAsyncDisposable
{
    private readonly HttpClient _client;
    private readonly string _keyPrefix;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _callers = [];
    private int _number;

    private Load(HttpClient client, string keyPrefix)
    {
        _client = client;
        _keyPrefix = keyPrefix;
    }

    public ConcurrentBag<Given> Given { get; } = [];

    /// <summary>Names of keys whose creation was acknowledged.</summary>
    public ConcurrentBag<string> Keys { get; } = [];

    /// <summary>Answers that were neither a success nor a 503.</summary>
    public ConcurrentBag<string> Surprises { get; } = [];

    public static Load Start(HttpClient client, string keyPrefix, int signers = 4, int tokenCallers = 2, int keyCreators = 1)
    {
        var load = new Load(client, keyPrefix);
        for (var i = 0; i < signers; i++)
            load._callers.Add(load.RepeatAsync(load.SignAsync));
        for (var i = 0; i < tokenCallers; i++)
            load._callers.Add(load.RepeatAsync(load.IssueAsync));
        for (var i = 0; i < keyCreators; i++)
            load._callers.Add(load.RepeatAsync(load.CreateKeyAsync));
        return load;
    }

    /// <summary>Waits until so much was given, however busy the machine is. The load has to be one that gets there.</summary>
    public async Task ReachAsync(int given, int keys)
    {
        while (Given.Count < given || Keys.Count < keys)
        {
            Assert.True(Surprises.IsEmpty, Surprises.FirstOrDefault());
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }

    public async Task EndAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_callers);
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        _stop.Dispose();
    }

    private async Task SignAsync()
    {
        var digest = Expectations.Base64Digest($"{_keyPrefix}{Interlocked.Increment(ref _number)}");
        var answer = await _client.PostJsonAsync("/v1/keys/release/sign", $$"""{"digest":"{{digest}}"}""");
        if (Succeeded(answer))
            Given.Add(new Given(answer["auditId"], "keys:Sign", Digest: digest));
    }

    private async Task IssueAsync()
    {
        var answer = await _client.PostJsonAsync("/v1/tokens", """{"profile":"default","audience":"a"}""");
        if (Succeeded(answer))
            Given.Add(new Given(answer["auditId"], "tokens:Issue", TokenId: answer["tokenId"]));
    }

    private async Task CreateKeyAsync()
    {
        var name = $"{_keyPrefix}-{Interlocked.Increment(ref _number)}";
        var answer = await _client.PostJsonAsync("/v1/keys", $$"""{"name":"{{name}}","purpose":"artifacts","spec":"ECC_NIST_P256"}""");
        if (Succeeded(answer))
            Keys.Add(name);
    }

    private bool Succeeded(JsonAnswer answer)
    {
        if (answer.Code is not (200 or 201 or 503))
            Surprises.Add(answer.ToString());
        return answer.Code is 200 or 201;
    }

    private async Task RepeatAsync(Func<Task> call)
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await call();
            }
            catch (HttpRequestException)
            {
                // The process is gone, and what was on its way was not given. Whoever kills it ends this load.
                return;
            }
        }
    }
}
