using System.Collections.Frozen;
using System.Text.Json;
using SignSvc.Signing.Tokens;

namespace SignSvc.Access.Issuers;

/// <summary>
/// The issuers whose tokens are believed: those of the settings, and no others. Verifies a token for whoever brings one:
/// as a bearer, for an exchange, for a login.
/// </summary>
public sealed class TrustedIssuers : BackgroundService
{
    private readonly FrozenDictionary<string, TrustedIssuer> _byUrl;
    private readonly VerifiedTokens _verified = new();
    private readonly TimeProvider _time;

    public TrustedIssuers(IEnumerable<IssuerSettings> settings, TimeProvider time, ILogger<TrustedIssuers> log)
    {
        _time = time;
        _byUrl = settings.Select(s => new TrustedIssuer(s, time, log)).ToFrozenDictionary(i => i.Url, StringComparer.Ordinal);
    }

    /// <summary>Names of the issuers, as the settings have them.</summary>
    public IEnumerable<string> Names => _byUrl.Values.Select(i => i.Name);

    /// <summary>
    /// Checks all there is to check: issuer, algorithm, type, signature, audience, times, the issuer's own requirements. No
    /// I/O but, at most, one shared and limited fetch of the keys of the issuer that the token names.
    /// </summary>
    public async ValueTask<TokenVerdict> VerifyAsync(string jwt, CancellationToken cancellationToken)
    {
        if (jwt.Length > CompactJws.MaxLength)
            return TokenVerdict.Refused("it is too long");
        var hash = TokenHash.Of(jwt);
        if (_verified.Find(hash) is { } known)
        {
            if (known.IsGood(_time.GetUtcNow()))
                return TokenVerdict.Good(known.Token);
            _verified.Remove(hash);
        }

        if (CompactJws.TryParse(jwt) is not { } token)
            return TokenVerdict.Refused("it is no signed JWT in compact form");
        if (token.Claims.ValueKind != JsonValueKind.Object)
            return TokenVerdict.Refused("its claims cannot be read");
        if (token.Text("iss") is not { } iss || !_byUrl.TryGetValue(iss, out var issuer))
            return TokenVerdict.Refused("its issuer is not trusted");

        var (verdict, key) = await issuer.VerifyAsync(token, cancellationToken);
        if (verdict.Token is { } good)
            _verified.Add(hash, new VerifiedTokens.Entry(good, issuer, key!, jwt.Length));
        return verdict with { Refusal = verdict.Refusal.Length > 0 ? $"issuer {issuer.Name}: {verdict.Refusal}" : "" };
    }

    public override void Dispose()
    {
        base.Dispose();
        foreach (var issuer in _byUrl.Values)
            issuer.Dispose();
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(_byUrl.Values.Select(i => i.Keys.KeepFreshAsync(stoppingToken)));
}
