using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace SignSvc.Operations.Tests;

/// <summary>The files of the service's own certificate, and the settings that serve with it on https beside http.</summary>
internal sealed class ServedCertificate(string folder)
{
    public string File => Path.Combine(folder, "tls.crt");

    public string KeyFile => Path.Combine(folder, "tls.key");

    public IReadOnlyDictionary<string, string> Environment => new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["ASPNETCORE_URLS"] = "http://127.0.0.1:0;https://127.0.0.1:0",
        ["Kestrel__Certificates__Default__Path"] = File,
        ["Kestrel__Certificates__Default__KeyPath"] = KeyFile,
    };

    /// <returns>Its thumbprint.</returns>
    public string Renew(TimeSpan lifetime) => Write(File, KeyFile, lifetime);

    /// <summary>The certificate is another, and its key is not there yet: the moment between the two files of a renewal.</summary>
    public void RenewWithoutKey(TimeSpan lifetime) => Write(File, Path.Combine(folder, "later.key"), lifetime);

    private static string Write(string file, string keyFile, TimeSpan lifetime)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var now = TimeProvider.System.GetUtcNow();
        using var certificate = request.CreateSelfSigned(now.AddMinutes(-5), now + lifetime);
        System.IO.File.WriteAllText(keyFile, key.ExportPkcs8PrivateKeyPem());
        System.IO.File.WriteAllText(file, certificate.ExportCertificatePem());
        return certificate.Thumbprint;
    }
}
