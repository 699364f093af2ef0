using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace SignSvc.Telemetry;

/// <summary>The certificate that Kestrel was given (<c>Kestrel:Certificates:Default</c>), read anew at most once a minute: it is renewed on disk.</summary>
internal sealed class ServerCertificate(IConfiguration configuration, TimeProvider time)
{
    private static readonly TimeSpan Fresh = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private DateTimeOffset? _notAfter;
    private long? _readAt;

    /// <returns>Seconds, below 0 where it has expired; null where there is none, or it cannot be read.</returns>
    public double? Remaining()
    {
        lock (_gate)
        {
            if (_readAt is not { } at || time.GetElapsedTime(at) >= Fresh)
            {
                _notAfter = Read();
                _readAt = time.GetTimestamp();
            }

            return (_notAfter - time.GetUtcNow())?.TotalSeconds;
        }
    }

    private DateTimeOffset? Read()
    {
        var section = configuration.GetSection("Kestrel:Certificates:Default");
        if (section["Path"] is not { Length: > 0 } path)
            return null;
        try
        {
            using var certificate = X509Certificate2.GetCertContentType(path) == X509ContentType.Pkcs12
                ? X509CertificateLoader.LoadPkcs12FromFile(path, section["Password"], X509KeyStorageFlags.EphemeralKeySet)
                : X509CertificateLoader.LoadCertificateFromFile(path);
            return new DateTimeOffset(certificate.NotAfter);
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            // It is Kestrel that refuses to serve with it; a figure that is absent has an alarm of its own.
            return null;
        }
    }
}
