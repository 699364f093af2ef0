using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using SignSvc.Access.Issuers;

namespace SignSvc.Callers.Tests;

/// <summary>An issuer's keys over time: rotations, outages, floods. The clock stands still until a test moves it.</summary>
public sealed class IssuerKeysTests : IAsyncLifetime
{
    private readonly ManualClock _clock = new();
    private LocalIssuer _issuer = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _issuer = await LocalIssuer.StartAsync();

    public ValueTask DisposeAsync() => _issuer.DisposeAsync();

    [Fact]
    public async Task A_new_key_of_the_issuer_is_found_when_its_first_token_comes()
    {
        using var trusted = Trust();
        await MustBelieveAsync(trusted, Token());
        var next = new TestKey("k2");
        _issuer.Keys.Add(next);

        _clock.Advance(IssuerKeys.BetweenAsks);
        await MustBelieveAsync(trusted, Token(next));

        Assert.Equal(2, _issuer.Fetches);
    }

    [Fact]
    public async Task A_key_that_the_issuer_withdraws_ends_its_tokens_those_that_were_verified_too()
    {
        using var trusted = Trust();
        var token = Token();
        await MustBelieveAsync(trusted, token);
        var next = new TestKey("k2");
        (_issuer.Keys[0], var old) = (next, _issuer.Keys[0]);

        _clock.Advance(IssuerKeys.BetweenAsks);
        await MustBelieveAsync(trusted, Token(next));

        await MustRefuseAsync(trusted, token);
        await MustRefuseAsync(trusted, Token(old));
    }

    [Fact]
    public async Task While_the_issuer_is_down_its_last_good_keys_are_believed_and_no_longer_than_the_settings_say()
    {
        using var trusted = Trust(keepSeconds: 3600);
        await MustBelieveAsync(trusted, Token());
        foreach (var fault in Faults())
        {
            _issuer.Fault = fault;
            _clock.Advance(TimeSpan.FromMinutes(5));
            await MustRefuseAsync(trusted, Token(new TestKey("unknown")));
            await MustBelieveAsync(trusted, Token());
        }

        _clock.Advance(TimeSpan.FromHours(1));
        await MustRefuseAsync(trusted, Token());

        _issuer.Fault = null;
        _clock.Advance(IssuerKeys.BetweenAsks);
        await MustBelieveAsync(trusted, Token());
    }

    [Fact]
    public async Task A_clock_that_is_set_back_neither_hides_a_new_key_nor_keeps_an_old_one()
    {
        using var trusted = Trust(keepSeconds: 3600);
        await MustBelieveAsync(trusted, Token());
        _clock.JumpTo(_clock.GetUtcNow() - TimeSpan.FromDays(400));
        var next = new TestKey("k2");
        _issuer.Keys.Add(next);
        _clock.Advance(IssuerKeys.BetweenAsks);
        await MustBelieveAsync(trusted, Token(next));

        _issuer.Fault = Faults().First();
        _clock.JumpTo(_clock.GetUtcNow() - TimeSpan.FromDays(1));
        _clock.Advance(TimeSpan.FromHours(1));
        await MustRefuseAsync(trusted, Token());
    }

    [Fact]
    public async Task A_flood_of_unknown_kids_makes_one_fetch_in_ten_seconds()
    {
        using var trusted = Trust();
        await MustBelieveAsync(trusted, Token());
        for (var round = 1; round <= 3; round++)
        {
            _clock.Advance(IssuerKeys.BetweenAsks);
            var verdicts = await Task.WhenAll(Enumerable.Range(0, 2000).Select(i => Task.Run(
                async () => await trusted.VerifyAsync(Token(new TestKey($"k-{round}-{i % 50}")), Cancellation), Cancellation)));
            Assert.All(verdicts, v => Assert.Null(v.Token));
            Assert.Equal(1 + round, _issuer.Fetches);
        }
    }

    [Fact]
    public async Task Callers_who_come_together_wait_for_one_fetch()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var keys = _issuer.KeySet();
        _issuer.Fault = async http =>
        {
            await gate.Task.WaitAsync(Cancellation);
            _issuer.Fault = null;
            await http.Response.WriteAsync(http.Request.Path == "/keys" ? keys : $$"""{"issuer":"{{_issuer.Url}}","jwks_uri":"{{_issuer.Url}}/keys"}""", Cancellation);
        };
        using var trusted = Trust();
        var token = Token();
        var waiting = Enumerable.Range(0, 200).Select(_ => trusted.VerifyAsync(token, Cancellation).AsTask()).ToArray();
        Assert.All(waiting, w => Assert.False(w.IsCompleted));
        // Nobody else's patience is tried by one who leaves.
        using var impatient = new CancellationTokenSource();
        var left = trusted.VerifyAsync(token, impatient.Token).AsTask();
        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => left);

        gate.SetResult();

        Assert.All(await Task.WhenAll(waiting), v => Assert.NotNull(v.Token));
        Assert.Equal((1, 1), (_issuer.Discoveries, _issuer.Fetches));
    }

    [Fact]
    public async Task A_slow_issuer_holds_a_bounded_number_of_requests_and_for_ten_seconds_at_the_most()
    {
        _issuer.Fault = http => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, http.RequestAborted);
        using var trusted = Trust();
        var waiting = Enumerable.Range(0, 1000).Select(_ => trusted.VerifyAsync(Token(), Cancellation).AsTask()).ToArray();

        Assert.Equal(256, waiting.Count(w => !w.IsCompleted));
        while (_issuer.Discoveries == 0)
            await Task.Yield();
        _clock.Advance(TimeSpan.FromSeconds(10));

        Assert.All(await Task.WhenAll(waiting).WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Cancellation), v => Assert.Null(v.Token));
    }

    [Theory]
    [InlineData("""{"issuer":"https://other.example","jwks_uri":"URL/keys"}""")]
    [InlineData("""{"issuer":"URL"}""")]
    [InlineData("""{"issuer":"URL","jwks_uri":"http://192.0.2.1/keys"}""")]
    [InlineData("""{"issuer":"URL","jwks_uri":"file:///etc/passwd"}""")]
    [InlineData("""{"issuer":"URL","issuer":"URL","jwks_uri":"URL/keys"}""")]
    [InlineData("""[]""")]
    [InlineData("""nonsense""")]
    public async Task A_discovery_document_that_is_not_the_issuer_s_own_gives_no_keys(string document)
    {
        _issuer.Discovery = () => document.Replace("URL", _issuer.Url, StringComparison.Ordinal);
        using var trusted = Trust();

        await MustRefuseAsync(trusted, Token());

        Assert.Equal((1, 0), (_issuer.Discoveries, _issuer.Fetches));
    }

    [Fact]
    public async Task Keys_in_a_file_need_no_network_and_follow_the_file()
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, _issuer.KeySet(), Cancellation);
        using var trusted = Trust(new IssuerSettings { Name = "local", Issuer = _issuer.Url, Audiences = { "signsvc" }, JwksFile = file });
        await trusted.StartAsync(Cancellation);
        var old = Token();
        await MustBelieveAsync(trusted, old);

        await File.WriteAllTextAsync(file, "half a fi", Cancellation);
        await TickAsync();
        await MustBelieveAsync(trusted, old);

        // Each token is a fresh one, for the clock runs fast while it waits.
        var first = _issuer.Keys[0];
        _issuer.Keys[0] = new TestKey("k2");
        await File.WriteAllTextAsync(file, _issuer.KeySet(), Cancellation);
        await UntilAsync(async () => (await trusted.VerifyAsync(Token(), Cancellation)).Token is not null);
        await MustRefuseAsync(trusted, Token(first));
        await MustBelieveAsync(trusted, Token());

        Assert.Equal((0, 0), (_issuer.Discoveries, _issuer.Fetches));
        await trusted.StopAsync(Cancellation);
        File.Delete(file);
    }

    [Fact]
    public async Task Keys_are_kept_fresh_in_the_background()
    {
        using var trusted = Trust();
        await trusted.StartAsync(Cancellation);
        await UntilAsync(() => Task.FromResult(_issuer.Fetches == 1), advance: TimeSpan.Zero);
        _issuer.Keys[0] = new TestKey("k2");

        await UntilAsync(() => Task.FromResult(_issuer.Fetches >= 2), advance: TimeSpan.FromMinutes(2));

        await UntilAsync(async () => (await trusted.VerifyAsync(Token(), Cancellation)).Token is not null, advance: TimeSpan.Zero);
        await trusted.StopAsync(Cancellation);
    }

    [Fact]
    public async Task Keys_that_must_not_verify_are_left_out()
    {
        var good = _issuer.Keys[0].Jwk();
        string Set(params string[] keys) => $$"""{"keys":[{{string.Join(',', keys)}}]}""";
        foreach (var set in (string[])
        [
            Set(_issuer.Keys[0].Jwk(("use", "enc"))), Set(_issuer.Keys[0].Jwk(("key_ops", new System.Text.Json.Nodes.JsonArray("sign")))),
            Set(_issuer.Keys[0].Jwk(("alg", "HS256"))), Set(_issuer.Keys[0].Jwk(("alg", "ES384"))), Set(_issuer.Keys[0].Jwk(("d", "AAAA"))),
            Set(_issuer.Keys[0].Jwk(("x", "AAAA"))), Set(good, new TestKey("k1").Jwk()), Set(good, """{"kty":"oct","kid":"k1","k":"AAAA"}"""),
            Set(), "{}", "[]", Set([.. Enumerable.Range(0, 101).Select(i => new TestKey($"n{i}").Jwk())]),
        ])
            Assert.Throws<InvalidDataException>(() => JwkSet.Parse(Encoding.UTF8.GetBytes(set)));
        Assert.Equal(1, JwkSet.Parse(Encoding.UTF8.GetBytes(Set(good, """{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"""))).Count);
        await Task.CompletedTask;
    }

    private static IEnumerable<Func<HttpContext, Task>> Faults() =>
    [
        http => Answer(http, 500, "{}"), http => Answer(http, 404, ""), http => Answer(http, 200, """{"keys":[]}"""), http => Answer(http, 200, "<html>"),
        http => Answer(http, 200, new string(' ', 300 * 1024)), http => { http.Abort(); return Task.CompletedTask; },
        http => { http.Response.Headers.Location = "/elsewhere"; return Answer(http, 302, ""); },
    ];

    private static Task Answer(HttpContext http, int status, string body)
    {
        http.Response.StatusCode = status;
        return http.Response.WriteAsync(body, http.RequestAborted);
    }

    private TrustedIssuers Trust(int keepSeconds = 86_400) =>
        Trust(new IssuerSettings { Name = "local", Issuer = _issuer.Url, Audiences = { "signsvc" }, KeepSeconds = keepSeconds });

    private TrustedIssuers Trust(IssuerSettings settings)
    {
        Assert.Empty(IssuerSettingsCheck.Faults([settings]));
        return new TrustedIssuers([settings], _clock, NullLogger<TrustedIssuers>.Instance);
    }

    private string Token(TestKey? key = null) => new TestToken(key ?? _issuer.Keys[0], _clock).With(("iss", _issuer.Url)).ToString();

    private static async Task MustBelieveAsync(TrustedIssuers trusted, string token)
    {
        var verdict = await trusted.VerifyAsync(token, Cancellation);
        Assert.True(verdict.Token is not null, verdict.Refusal);
    }

    private static async Task MustRefuseAsync(TrustedIssuers trusted, string token) =>
        Assert.Null((await trusted.VerifyAsync(token, Cancellation)).Token);

    private async Task TickAsync()
    {
        for (var i = 0; i < 5; i++)
        {
            _clock.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }
    }

    /// <summary>Moves the clock and looks, until it is so.</summary>
    private async Task UntilAsync(Func<Task<bool>> isSo, TimeSpan? advance = null)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!await isSo())
        {
            _clock.Advance(advance ?? TimeSpan.FromSeconds(1));
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, patience.Token);
        }
    }
}
