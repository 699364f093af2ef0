using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace SignSvc.Callers.Tests;

/// <summary>
/// An issuer with real discovery on a port of its own. It counts what it is asked for, and can be slow, down, or wrong.
/// </summary>
public sealed class LocalIssuer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private int _discoveries;
    private int _fetches;

    private LocalIssuer(WebApplication app) => _app = app;

    /// <summary>The claim <c>iss</c>.</summary>
    public string Url { get; private set; } = "";

    /// <summary>Published from now on, in this order.</summary>
    public List<TestKey> Keys { get; } = [new TestKey("k1")];

    public int Discoveries => Volatile.Read(ref _discoveries);

    /// <summary>Of the key set.</summary>
    public int Fetches => Volatile.Read(ref _fetches);

    /// <summary>What it answers instead; null: what it should.</summary>
    public Func<HttpContext, Task>? Fault { get; set; }

    /// <summary>The members of the discovery document.</summary>
    public Func<string>? Discovery { get; set; }

    public static async Task<LocalIssuer> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrel(k => k.Listen(IPAddress.Loopback, 0));
        var issuer = new LocalIssuer(builder.Build());
        issuer._app.MapGet("/.well-known/openid-configuration", http => issuer.AnswerAsync(
            http, ref issuer._discoveries, issuer.Discovery?.Invoke() ?? $$"""{"issuer":"{{issuer.Url}}","jwks_uri":"{{issuer.Url}}/keys"}"""));
        issuer._app.MapGet("/keys", http => issuer.AnswerAsync(http, ref issuer._fetches, issuer.KeySet()));
        await issuer._app.StartAsync(TestContext.Current.CancellationToken);
        issuer.Url = issuer._app.Urls.Single();
        return issuer;
    }

    public string KeySet() => $$"""{"keys":[{{string.Join(',', Keys.Select(k => k.Jwk()))}}]}""";

    /// <summary>A token as this issuer makes them, good for the service of the tests.</summary>
    public TestToken Token(params (string Name, object? Value)[] claims) => new TestToken(Keys[0]).With(("iss", Url)).With(claims);

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private Task AnswerAsync(HttpContext http, ref int count, string json)
    {
        Interlocked.Increment(ref count);
        if (Fault is { } fault)
            return fault(http);
        http.Response.ContentType = "application/json";
        return http.Response.WriteAsync(json, http.RequestAborted);
    }
}
