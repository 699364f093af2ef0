using System.Buffers;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using SignSvc.Signing;

namespace SignSvc.Access.Issuers;

/// <summary>
/// Reads one issuer's key set, from its file or over HTTP. Addresses come from the settings, and from a discovery document
/// that stood at such an address; never from a token. Redirects are not followed, cookies not kept, sizes and times bounded.
/// </summary>
internal sealed class KeyDocuments : IDisposable
{
    private const int MaxDiscoveryBytes = 64 * 1024;

    /// <summary>For discovery and keys together.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>How long a discovered address is used before it is asked for again.</summary>
    private static readonly TimeSpan DiscoveryLifetime = TimeSpan.FromHours(1);

    private readonly IssuerSettings _settings;
    private readonly string _issuer;
    private readonly TimeProvider _time;
    private readonly HttpClient? _http;
    private (Uri Url, long At)? _discovered;

    public KeyDocuments(IssuerSettings settings, TimeProvider time)
    {
        _settings = settings;
        _issuer = IssuerPresets.IssuerOf(settings);
        _time = time;
        _http = settings.JwksFile is null ? NewClient(settings.CaFile) : null;
    }

    public bool IsFile => _http is null;

    /// <summary>Not for several calls at once.</summary>
    /// <exception cref="HttpRequestException">The issuer cannot be reached or answered something else than 200.</exception>
    /// <exception cref="InvalidDataException">What it answered is too long or not what it should be.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="OperationCanceledException">It took too long.</exception>
    public async Task<byte[]> ReadAsync(CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(Patience, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
        if (_settings.JwksFile is { } file)
        {
            await using var stream = File.OpenRead(file);
            return await ReadBoundedAsync(stream, JwkSet.MaxBytes, either.Token);
        }

        if (_settings.JwksUrl is { } fixedUrl)
            return await GetAsync(new Uri(fixedUrl), isConfigured: true, JwkSet.MaxBytes, either.Token);
        try
        {
            return await GetAsync(await DiscoverAsync(either.Token), isConfigured: false, JwkSet.MaxBytes, either.Token);
        }
        catch (HttpRequestException)
        {
            // It may have moved.
            _discovered = null;
            throw;
        }
    }

    public void Dispose() => _http?.Dispose();

    /// <summary>OpenID Connect Discovery 1.0 section 4: the document's issuer is the configured one, to the letter.</summary>
    private async Task<Uri> DiscoverAsync(CancellationToken cancellationToken)
    {
        if (_discovered is { } known && _time.GetElapsedTime(known.At) < DiscoveryLifetime)
            return known.Url;
        var url = new Uri(_settings.DiscoveryUrl ?? $"{_issuer.TrimEnd('/')}/.well-known/openid-configuration");
        var json = await GetAsync(url, isConfigured: true, MaxDiscoveryBytes, cancellationToken);
        var document = Parse(json);
        if (!string.Equals(Text(document, "issuer"), _issuer, StringComparison.Ordinal))
            throw new InvalidDataException($"The discovery document at {url} is of another issuer.");
        var keys = Uri.TryCreate(Text(document, "jwks_uri"), UriKind.Absolute, out var parsed) ? parsed : null;
        // A document from elsewhere must not make us call ourselves without TLS.
        if (keys is null || !TrustedUrl.IsAllowed(keys) || (IsPlain(keys) && !IsPlain(url)))
            throw new InvalidDataException($"The discovery document at {url} names no https address of keys.");
        _discovered = (keys, _time.GetTimestamp());
        return keys;
    }

    private static bool IsPlain(Uri url) => string.Equals(url.Scheme, Uri.UriSchemeHttp, StringComparison.Ordinal);

    private async Task<byte[]> GetAsync(Uri url, bool isConfigured, int maxBytes, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, url);
        request.Headers.Accept.ParseAdd("application/json, application/jwk-set+json");
        if (isConfigured && _settings.TokenFile is { } file)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", (await File.ReadAllTextAsync(file, cancellationToken)).Trim());
        using var response = await _http!.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (response.StatusCode != HttpStatusCode.OK)
            throw new HttpRequestException($"{url} answered {(int)response.StatusCode}.");
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        return await ReadBoundedAsync(body, maxBytes, cancellationToken);
    }

    private static async Task<byte[]> ReadBoundedAsync(Stream stream, int maxBytes, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(maxBytes + 1);
        try
        {
            var read = await stream.ReadAtLeastAsync(buffer.AsMemory(0, maxBytes + 1), maxBytes + 1, throwOnEndOfStream: false, cancellationToken);
            return read <= maxBytes ? buffer[..read] : throw new InvalidDataException($"It is longer than {maxBytes} bytes.");
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static JsonElement Parse(byte[] json)
    {
        try
        {
            return ForeignJson.Parse(json);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException("The discovery document is no JSON that can mean only one thing.", e);
        }
    }

    private static string? Text(JsonElement document, string name) =>
        document.ValueKind == JsonValueKind.Object
        && document.TryGetProperty(name, out var member) && member.ValueKind == JsonValueKind.String ? member.GetString() : null;

    private static HttpClient NewClient(string? caFile)
    {
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            AutomaticDecompression = DecompressionMethods.None,
            ConnectTimeout = TimeSpan.FromSeconds(5),
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            MaxConnectionsPerServer = 2,
            MaxResponseHeadersLength = 16,
            MaxResponseDrainSize = 0,
        };
        if (caFile is not null)
            handler.SslOptions.CertificateChainPolicy = Only(caFile);
        return new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
    }

    private static X509ChainPolicy Only(string caFile)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPemFile(caFile);
        // RFC 5280 section 4.2.1.12: id-kp-serverAuth.
        policy.ApplicationPolicy.Add(new System.Security.Cryptography.Oid("1.3.6.1.5.5.7.3.1"));
        return policy;
    }
}
