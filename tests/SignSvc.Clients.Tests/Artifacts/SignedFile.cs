using System.Security.Cryptography;
using System.Text.Json;
using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Artifacts;

/// <summary>
/// A file of random bytes that the service has signed by its digest, with the public key as it exports it, in a folder
/// of their own; beside them the same with one bit flipped.
/// </summary>
internal sealed class SignedFile : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signsvc-signed-");

    private SignedFile()
    {
    }

    public string Folder => _folder.FullName;

    public string File => Path.Combine(Folder, "app.tar.gz");

    public string AlteredFile => Path.Combine(Folder, "altered.tar.gz");

    /// <summary>PEM, from <c>GET /v1/keys/{key}/public-key</c>.</summary>
    public string PublicKey => Path.Combine(Folder, "key.pub");

    /// <summary>DER for ECDSA, as raw bytes in a file.</summary>
    public string SignatureFile => Path.Combine(Folder, "app.sig");

    public string AlteredSignatureFile => Path.Combine(Folder, "altered.sig");

    public byte[] Digest { get; private set; } = [];

    public byte[] Signature { get; private set; } = [];

    public byte[] AlteredSignature { get; private set; } = [];

    /// <param name="algorithm">JWA name; its hash makes the digest.</param>
    public static async Task<SignedFile> MakeAsync(
        RunningService service, string key, string algorithm, CancellationToken cancellationToken)
    {
        var signed = new SignedFile();
        var content = RandomNumberGenerator.GetBytes(100_000);
        signed.Digest = CryptographicOperations.HashData(HashOf(algorithm), content);
        var answer = await service.PostAsync($"/v1/keys/{key}/sign", new
        {
            digest = signed.Digest,
            algorithm,
            encoding = "der",
            context = new { artifact = new { type = "blob", name = "app.tar.gz" } },
        }, cancellationToken);
        Assert.Equal(algorithm, answer.GetProperty("algorithm").GetString());
        await signed.WriteAsync(content, answer, await service.GetTextAsync($"/v1/keys/{key}/public-key", cancellationToken), cancellationToken);
        return signed;
    }

    public static HashAlgorithmName HashOf(string algorithm) => new($"SHA{algorithm[2..]}");

    public void Dispose() => _folder.Delete(recursive: true);

    private async Task WriteAsync(byte[] content, JsonElement answer, string publicKey, CancellationToken cancellationToken)
    {
        Signature = answer.GetProperty("signature").GetBytesFromBase64();
        AlteredSignature = WithFlippedBit(Signature);
        await System.IO.File.WriteAllBytesAsync(File, content, cancellationToken);
        await System.IO.File.WriteAllBytesAsync(AlteredFile, WithFlippedBit(content), cancellationToken);
        await System.IO.File.WriteAllBytesAsync(SignatureFile, Signature, cancellationToken);
        await System.IO.File.WriteAllBytesAsync(AlteredSignatureFile, AlteredSignature, cancellationToken);
        await System.IO.File.WriteAllTextAsync(PublicKey, publicKey, cancellationToken);
    }

    /// <summary>In the last byte: a signature keeps its form and is a wrong one.</summary>
    private static byte[] WithFlippedBit(byte[] bytes)
    {
        var altered = bytes.ToArray();
        altered[^1] ^= 1;
        return altered;
    }
}
