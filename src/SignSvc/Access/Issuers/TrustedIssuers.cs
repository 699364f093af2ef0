using System.Collections.Frozen;
using System.Text.Json;
using SignSvc.Operations;
using SignSvc.Signing.Tokens;

namespace SignSvc.Access.Issuers;

/// <summary>
/// The issuers whose tokens are believed: those of the settings, and no others. Verifies a token for whoever brings one:
/// as a bearer, for an exchange, for a login.
/// </summary>
public sealed class TrustedIssuers : BackgroundService, ITakesSettings
{
    private readonly TimeProvider _time;
    private readonly ILogger<TrustedIssuers> _log;
    private readonly SemaphoreSlim _changed = new(0);
    private volatile Trusted _trusted;

    public TrustedIssuers(IEnumerable<IssuerSettings> settings, TimeProvider time, ILogger<TrustedIssuers> log)
    {
        _time = time;
        _log = log;
        _trusted = new Trusted([.. settings.Select(Open)]);
    }

    /// <summary>Names of the issuers, as the settings have them.</summary>
    public IEnumerable<string> Names => _trusted.ByUrl.Values.Select(i => i.Name);

    /// <summary>
    /// Checks all there is to check: issuer, algorithm, type, signature, audience, times, the issuer's own requirements. No
    /// I/O but, at most, one shared and limited fetch of the keys of the issuer that the token names.
    /// </summary>
    public async ValueTask<TokenVerdict> VerifyAsync(string jwt, CancellationToken cancellationToken)
    {
        if (jwt.Length > CompactJws.MaxLength)
            return TokenVerdict.Refused("it is too long");
        var trusted = _trusted;
        var hash = TokenHash.Of(jwt);
        if (trusted.Verified.Find(hash) is { } known)
        {
            if (known.IsGood(_time.GetUtcNow()))
                return TokenVerdict.Good(known.Token);
            trusted.Verified.Remove(hash);
        }

        if (CompactJws.TryParse(jwt) is not { } token)
            return TokenVerdict.Refused("it is no signed JWT in compact form");
        if (token.Claims.ValueKind != JsonValueKind.Object)
            return TokenVerdict.Refused("its claims cannot be read");
        if (!token.HasNumericDates)
            return TokenVerdict.Refused("its exp, nbf or iat is no number of seconds since 1970");
        if (token.Text("iss") is not { } iss || !trusted.ByUrl.TryGetValue(iss, out var issuer))
            return TokenVerdict.Refused("its issuer is not trusted");

        var (verdict, key) = await issuer.VerifyAsync(token, cancellationToken);
        if (verdict.Token is { } good)
            trusted.Verified.Add(hash, new VerifiedTokens.Entry(good, issuer, key!, jwt.Length));
        return verdict with { Refusal = verdict.Refusal.Length > 0 ? $"issuer {issuer.Name}: {verdict.Refusal}" : "" };
    }

    /// <summary>An issuer whose settings are what they were keeps its keys; tokens that were verified are all verified anew.</summary>
    public Action Prepare(Settings settings)
    {
        var before = _trusted.ByUrl.Values.ToDictionary(i => i.Fingerprint, StringComparer.Ordinal);
        var next = new Trusted([.. settings.Access.Issuers.Select(s => before.GetValueOrDefault(FlatSettings.TextOf(s)) ?? Open(s))]);
        return () =>
        {
            _trusted = next;
            _changed.Release();
        };
    }

    public override void Dispose()
    {
        base.Dispose();
        foreach (var issuer in _trusted.ByUrl.Values)
            issuer.Dispose();
        _changed.Dispose();
    }

    /// <summary>Keeps the keys of each issuer fresh for as long as it is trusted.</summary>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var running = new Dictionary<TrustedIssuer, (Task Task, CancellationTokenSource Stop)>();
        try
        {
            while (true)
            {
                var trusted = _trusted.ByUrl.Values;
                foreach (var issuer in trusted.Where(i => !running.ContainsKey(i)))
                {
                    var stop = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
                    running.Add(issuer, (issuer.Keys.KeepFreshAsync(stop.Token), stop));
                }

                foreach (var issuer in running.Keys.Except(trusted).ToArray())
                {
                    running.Remove(issuer, out var gone);
                    await EndAsync(gone);
                    // A request that still waits for its keys meets a closed client, and is refused.
                    issuer.Dispose();
                }

                await _changed.WaitAsync(stoppingToken);
            }
        }
        finally
        {
            foreach (var each in running.Values)
                await EndAsync(each);
        }
    }

    private static async Task EndAsync((Task Task, CancellationTokenSource Stop) running)
    {
        await running.Stop.CancelAsync();
        await running.Task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        running.Stop.Dispose();
    }

    private TrustedIssuer Open(IssuerSettings settings) => new(settings, _time, _log);

    /// <summary>One time's issuers, and the tokens that were verified by them.</summary>
    private sealed class Trusted(TrustedIssuer[] issuers)
    {
        public FrozenDictionary<string, TrustedIssuer> ByUrl { get; } = issuers.ToFrozenDictionary(i => i.Url, StringComparer.Ordinal);

        public VerifiedTokens Verified { get; } = new();
    }
}
