using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace SignSvc.Http;

/// <summary>
/// The service's own TLS certificate (<c>Kestrel:Certificates:Default</c>), read again when its files change: a renewed one
/// is served from the next handshake on, and one that cannot be read changes nothing.
/// </summary>
internal sealed partial class ServedCertificate : BackgroundService
{
    private const string Section = "Kestrel:Certificates:Default";

    private static readonly TimeSpan BetweenReads = TimeSpan.FromSeconds(1);

    private readonly IConfigurationSection _section;
    private readonly TimeProvider _time;
    private readonly ILogger<ServedCertificate> _log;
    private byte[] _files = [];
    private SslStreamCertificateContext? _context;

    public ServedCertificate(IConfiguration configuration, TimeProvider time, ILogger<ServedCertificate> log)
    {
        _section = configuration.GetSection(Section);
        _time = time;
        _log = log;
        TryRead();
    }

    private string? CertificatePath => PathIn(_section, "Path");

    private string? KeyPath => PathIn(_section, "KeyPath");

    /// <summary>Until it expires, in seconds, below 0 where it has; null where there is none.</summary>
    public double? Remaining =>
        Volatile.Read(ref _context) is { } context ? (new DateTimeOffset(context.TargetCertificate.NotAfter) - _time.GetUtcNow()).TotalSeconds : null;

    /// <summary>After whatever else is to be settled at a handshake.</summary>
    public void Configure(HttpsConnectionAdapterOptions https)
    {
        if (CertificatePath is null)
            return;
        var before = https.OnAuthenticate;
        https.OnAuthenticate = (connection, tls) =>
        {
            before?.Invoke(connection, tls);
            if (Volatile.Read(ref _context) is { } context)
                tls.ServerCertificateContext = context;
        };
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(BetweenReads, _time);
        while (CertificatePath is not null && await timer.WaitForNextTickAsync(stoppingToken))
            TryRead();
    }

    private void TryRead()
    {
        if (CertificatePath is not { } path)
            return;
        try
        {
            byte[] files = [.. File.ReadAllBytes(path), .. KeyPath is { } key ? File.ReadAllBytes(key) : []];
            var isFirst = _files.Length == 0;
            if (files.AsSpan().SequenceEqual(_files))
                return;
            _files = files;
            Volatile.Write(ref _context, Read(_section, path));
            if (!isFirst)
                LogRenewed(_context!.TargetCertificate.NotAfter);
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            // At the start it is Kestrel that refuses to serve with it.
            LogBadFile(path, e.Message);
        }
    }

    /// <returns>Why the certificate of the settings cannot be served, though its files can be read; null where it can, or there is none.</returns>
    public static string? FaultOf(IConfiguration configuration)
    {
        var section = configuration.GetSection(Section);
        try
        {
            if (PathIn(section, "Path") is { } path)
                Read(section, path);
            return null;
        }
        catch (CryptographicException e)
        {
            return $"Kestrel__Certificates__Default: {section["Path"]} cannot be served: {e.Message.TrimEnd('.')}. "
                + "It is PEM with the private key that belongs to it in KeyPath, or PKCS#12 with its Password.";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Named by itself.
            return null;
        }
    }

    private static string? PathIn(IConfigurationSection section, string name) => section[name] is { Length: > 0 } path ? path : null;

    private static SslStreamCertificateContext Read(IConfigurationSection section, string path)
    {
        var all = new X509Certificate2Collection();
        X509Certificate2 leaf;
        if (PathIn(section, "KeyPath") is { } key)
        {
            using var pem = ReadPem(path, key, section["Password"]);
            leaf = X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), password: null);
            all.ImportFromPemFile(path);
        }
        else
        {
            all = X509CertificateLoader.LoadPkcs12CollectionFromFile(path, section["Password"]);
            leaf = all.FirstOrDefault(c => c.HasPrivateKey) ?? throw new CryptographicException("It holds no private key.");
        }

        // Those that came with it help clients to build the chain; nothing is downloaded.
        var others = new X509Certificate2Collection(all.Where(c => !string.Equals(c.Thumbprint, leaf.Thumbprint, StringComparison.Ordinal)).ToArray());
        return SslStreamCertificateContext.Create(leaf, others, offline: true);
    }

    private static X509Certificate2 ReadPem(string path, string keyPath, string? password)
    {
        try
        {
            return password is { Length: > 0 } ? X509Certificate2.CreateFromEncryptedPemFile(path, password, keyPath) : X509Certificate2.CreateFromPemFile(path, keyPath);
        }
        catch (ArgumentException e)
        {
            // Also for the moment in which one of two files has been renewed.
            throw new CryptographicException($"The key in {keyPath} does not belong to it.", e);
        }
    }

    [LoggerMessage(1161, LogLevel.Information, "The service's certificate was renewed; it is good until {NotAfter}")]
    private partial void LogRenewed(DateTime notAfter);

    [LoggerMessage(1162, LogLevel.Error, "The service's certificate {File} cannot be read: {Reason}; the last good one stays")]
    private partial void LogBadFile(string file, string reason);
}
