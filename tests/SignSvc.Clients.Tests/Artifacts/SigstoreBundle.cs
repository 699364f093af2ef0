using System.Security.Cryptography;
using System.Text.Json;

namespace SignSvc.Clients.Tests.Artifacts;

/// <summary>Sigstore bundle v0.3 of a message signature made with a long-lived key: what cosign 3 reads.</summary>
internal static class SigstoreBundle
{
    /// <param name="digest">SHA-256 of the file.</param>
    /// <param name="signature">DER for ECDSA, PKCS#1 v1.5 for RSA.</param>
    public static string Of(string publicKeyPem, byte[] digest, byte[] signature) => JsonSerializer.Serialize(new
    {
        mediaType = "application/vnd.dev.sigstore.bundle.v0.3+json",
        verificationMaterial = new
        {
            publicKey = new { hint = SHA256.HashData(Spki(publicKeyPem)) },
            tlogEntries = Array.Empty<object>(),
        },
        messageSignature = new
        {
            messageDigest = new { algorithm = "SHA2_256", digest },
            signature,
        },
    });

    private static byte[] Spki(string pem) => Convert.FromBase64String(pem[PemEncoding.Find(pem).Base64Data]);
}
