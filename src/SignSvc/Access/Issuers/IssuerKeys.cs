using SignSvc.Signing.Keys;

namespace SignSvc.Access.Issuers;

/// <summary>
/// One issuer's keys as this node knows them. They are fetched in the background; a token makes a fetch happen only by a
/// kid that is not known, one for all who wait, and at most once in <see cref="BetweenAsks"/>, whoever asks and however
/// often. While the issuer is away the last good set stays, for as long as the settings say.
/// </summary>
internal sealed partial class IssuerKeys : IDisposable
{
    /// <summary>A stranger with a made-up kid causes no more fetches than one in this time.</summary>
    public static readonly TimeSpan BetweenAsks = TimeSpan.FromSeconds(10);

    /// <summary>How soon a fetch that failed is tried again in the background, at first; then twice as long each time.</summary>
    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan BetweenReads = TimeSpan.FromSeconds(1);

    /// <summary>Requests that may wait for a slow issuer; more are refused at once, so that it cannot hold the service's memory.</summary>
    private const int MaxWaiting = 256;

    private readonly string _name;
    private readonly TimeSpan _refresh;
    private readonly TimeSpan _keep;
    private readonly KeyDocuments _documents;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly Lock _gate = new();
    private Task _fetch = Task.CompletedTask;
    private long? _lastFetch;
    private int _waiting;
    private int _failures;
    private byte[] _json = [];
    private Known? _known;

    public IssuerKeys(IssuerSettings settings, TimeProvider time, ILogger log)
    {
        _name = settings.Name;
        _documents = new KeyDocuments(settings, time);
        _refresh = _documents.IsFile ? BetweenReads : TimeSpan.FromSeconds(settings.RefreshSeconds);
        _keep = _documents.IsFile ? TimeSpan.MaxValue : TimeSpan.FromSeconds(settings.KeepSeconds);
        _time = time;
        _log = log;
    }

    /// <summary>The keys that are believed now; null: none were fetched yet, or too long ago.</summary>
    public JwkSet? Current => Volatile.Read(ref _known) is { } known && (_keep == TimeSpan.MaxValue || IsWithin(known, _keep)) ? known.Keys : null;

    /// <summary>The key that a token names, for this algorithm.</summary>
    public async ValueTask<IssuerKey?> FindAsync(string? kid, SigningAlgorithm algorithm, CancellationToken cancellationToken)
    {
        var keys = Current;
        if (keys?.Find(kid, algorithm) is { } key)
            return key;
        if (keys is not null && (kid is null || keys.Knows(kid)))
            return null;
        return await AskAsync(cancellationToken) ? Current?.Find(kid, algorithm) : null;
    }

    /// <summary>Keeps the keys fresh until the service stops.</summary>
    public async Task KeepFreshAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            TryFetch(TimeSpan.Zero, out var fetch);
            await fetch.WaitAsync(cancellationToken);
            var failures = Volatile.Read(ref _failures);
            var pause = failures == 0 ? _refresh : TimeSpan.FromTicks(Math.Min(_refresh.Ticks, FirstRetry.Ticks << Math.Min(failures - 1, 10)));
            await Task.Delay(pause, _time, cancellationToken);
        }
    }

    public void Dispose() => _documents.Dispose();

    /// <returns>Whether there may be something new to look at.</returns>
    private async ValueTask<bool> AskAsync(CancellationToken cancellationToken)
    {
        if (!TryFetch(BetweenAsks, out var fetch))
            return false;
        if (Interlocked.Increment(ref _waiting) > MaxWaiting)
        {
            Interlocked.Decrement(ref _waiting);
            return false;
        }

        try
        {
            await fetch.WaitAsync(cancellationToken);
            return true;
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    /// <summary>By both clocks: a wall clock that is set back makes nothing young again, and the steady one may not count a machine's sleep.</summary>
    private bool IsWithin(Known known, TimeSpan keep) => _time.GetUtcNow() - known.At < keep && _time.GetElapsedTime(known.Timestamp) < keep;

    /// <summary>The fetch that runs now, or a new one; false where the last one began less than that ago.</summary>
    private bool TryFetch(TimeSpan since, out Task fetch)
    {
        lock (_gate)
        {
            fetch = _fetch;
            if (!fetch.IsCompleted)
                return true;
            if (_lastFetch is { } last && _time.GetElapsedTime(last) < since)
                return false;
            _lastFetch = _time.GetTimestamp();
            // On a thread of its own: whoever asks holds the gate.
            fetch = _fetch = Task.Run(FetchAsync);
            return true;
        }
    }

    /// <summary>Leaves the last good keys where they are if anything is wrong. It has its own time limit, and nobody's cancellation ends it for the others.</summary>
    private async Task FetchAsync()
    {
        try
        {
            var json = await _documents.ReadAsync(CancellationToken.None);
            var isNew = _known is null || !json.AsSpan().SequenceEqual(_json);
            var keys = isNew ? JwkSet.Parse(json) : _known!.Keys;
            _json = json;
            Volatile.Write(ref _known, new Known(keys, _time.GetUtcNow(), _time.GetTimestamp()));
            if (isNew)
                LogKeys(_name, keys.Count);
            Volatile.Write(ref _failures, 0);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or InvalidDataException or UnauthorizedAccessException or OperationCanceledException)
        {
            // Every doubling is on the log, not every try.
            var failures = Interlocked.Increment(ref _failures);
            if ((failures & (failures - 1)) == 0)
                LogFailure(_name, e.Message, failures);
        }
    }

    [LoggerMessage(1101, LogLevel.Information, "Issuer {Issuer} has {Count} keys that tokens may be signed with")]
    private partial void LogKeys(string issuer, int count);

    [LoggerMessage(1102, LogLevel.Warning, "The keys of issuer {Issuer} cannot be read: {Reason} (try {Failures}); the last good ones stay")]
    private partial void LogFailure(string issuer, string reason, int failures);

    private sealed record Known(JwkSet Keys, DateTimeOffset At, long Timestamp);
}
