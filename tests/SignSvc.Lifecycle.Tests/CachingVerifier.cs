using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace SignSvc.Lifecycle.Tests;

/// <summary>
/// Verifies tokens with a cached key set. The signature is checked by Microsoft.IdentityModel; when the key set is read
/// again is this class's part, after the rules of the two libraries that cache longest:
/// <list type="bullet">
/// <item>jose's <c>createRemoteJWKSet</c> reads again before it verifies when its copy is older than <c>cacheMaxAge</c>
/// (10 minutes), and on an unknown kid, unless it has read within <c>cooldownDuration</c> (30 seconds).</item>
/// <item>Microsoft.IdentityModel's <c>ConfigurationManager</c> reads again in the background when its copy is older than
/// <c>AutomaticRefreshInterval</c> (12 hours) and goes on with the old one meanwhile; an unknown kid asks for a new copy,
/// which that token does not live to see.</item>
/// </list>
/// </summary>
internal sealed class CachingVerifier(HttpClient client, TimeSpan maxAge, TimeSpan cooldown, bool refreshesInBackground) : IDisposable
{
    private static readonly JsonWebTokenHandler Handler = new();

    private readonly SemaphoreSlim _reading = new(1, 1);
    private readonly TimeProvider _time = TimeProvider.System;
    private volatile JsonWebKeySet? _keys;
    private long _readAt;

    public int Reads { get; private set; }

    public async Task<bool> VerifyAsync(string token)
    {
        var kid = new JsonWebToken(token).Kid;
        if (_keys is null)
            await ReadAsync(TimeSpan.Zero);
        else if (Age > maxAge)
            await Background(ReadAsync(maxAge));
        if (Find(kid) is null)
            await Background(ReadAsync(cooldown));
        if (Find(kid) is not { } key)
            return false;
        var result = await Handler.ValidateTokenAsync(token, new TokenValidationParameters
        {
            IssuerSigningKey = key,
            ValidateAudience = false,
            ValidateIssuer = false,
            ValidAlgorithms = ["ES256"],
        });
        return result.IsValid;
    }

    public void Dispose() => _reading.Dispose();

    private TimeSpan Age => _time.GetElapsedTime(Volatile.Read(ref _readAt));

    private JsonWebKey? Find(string kid) => _keys!.Keys.FirstOrDefault(k => string.Equals(k.Kid, kid, StringComparison.Ordinal));

    private Task Background(Task read) => refreshesInBackground ? Task.CompletedTask : read;

    /// <summary>One reads, the others wait for it; who comes after finds the copy young.</summary>
    private async Task ReadAsync(TimeSpan unlessYoungerThan)
    {
        await _reading.WaitAsync();
        try
        {
            if (_keys is not null && Age <= unlessYoungerThan)
                return;
            _keys = new JsonWebKeySet(await client.KeySetAsync());
            Volatile.Write(ref _readAt, _time.GetTimestamp());
            Reads++;
        }
        finally
        {
            _reading.Release();
        }
    }
}
