using System.Reflection;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace SignSvc.Lifecycle.Tests;

/// <summary>
/// Microsoft.IdentityModel as ASP.NET Core's JwtBearer uses it: <see cref="ConfigurationManager{T}"/> on the discovery
/// document, <see cref="JsonWebTokenHandler"/> on the tokens.
/// </summary>
internal sealed class IdentityModelVerifier : IDisposable
{
    private readonly JsonWebTokenHandler _handler = new();
    private readonly CountingHandler _counter = new();
    private readonly HttpClient _client;
    private readonly TokenValidationParameters _parameters;

    /// <param name="issuer">Of the service.</param>
    /// <param name="refresh">In place of the 12 hours after which it reads again.</param>
    public IdentityModelVerifier(Uri issuer, TimeSpan refresh)
    {
        _client = new HttpClient(_counter);
        var url = issuer.ToString().TrimEnd('/');
        var configuration = new ConfigurationManager<OpenIdConnectConfiguration>(
            $"{url}/.well-known/openid-configuration", new OpenIdConnectConfigurationRetriever(), new HttpDocumentRetriever(_client) { RequireHttps = false });
        // The setter insists on 5 minutes. Nothing else of the library is changed.
        typeof(BaseConfigurationManager).GetField("_automaticRefreshInterval", BindingFlags.Instance | BindingFlags.NonPublic)!
            .SetValue(configuration, refresh);
        Assert.Equal(refresh, configuration.AutomaticRefreshInterval);
        _parameters = new TokenValidationParameters
        {
            ConfigurationManager = configuration,
            ValidIssuer = url,
            ValidateAudience = false,
            ValidAlgorithms = ["ES256"],
            ValidTypes = ["at+jwt"],
        };
    }

    public int Reads => _counter.KeySets;

    /// <returns>Null: the token is good; else why it is not.</returns>
    public async Task<string?> VerifyAsync(string token) =>
        await _handler.ValidateTokenAsync(token, _parameters) is { IsValid: false } refused ? refused.Exception.Message : null;

    public void Dispose() => _client.Dispose();

    private sealed class CountingHandler() : DelegatingHandler(new SocketsHttpHandler { UseProxy = false })
    {
        private int _keySets;

        public int KeySets => Volatile.Read(ref _keySets);

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            if (request.RequestUri!.AbsolutePath.EndsWith("jwks.json", StringComparison.Ordinal))
                Interlocked.Increment(ref _keySets);
            return base.SendAsync(request, cancellationToken);
        }
    }
}
