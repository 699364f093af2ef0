using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using SignSvc.Emulation.Keys;

namespace SignSvc.Emulation.Crypto;

/// <summary>
/// Ciphertext of a symmetric key: it names its account, key and material, so that Decrypt needs no KeyId. The layout is
/// the emulator's own: version, length and text of <c>account/key id</c>, 32 bytes material id, nonce, tag, AES-GCM
/// ciphertext. The header and the encryption context are authenticated.
/// </summary>
internal sealed record CiphertextBlob(string AccountId, string KeyId, string MaterialId, byte[] Bytes, int HeaderLength)
{
    private const byte Version = 1;
    private const int MaterialIdLength = 32;
    private const int NonceLength = 12;
    private const int TagLength = 16;

    public static byte[] Seal(
        KmsKey key,
        KeyMaterial material,
        ReadOnlySpan<byte> plaintext,
        SortedDictionary<string, string> context)
    {
        var name = Encoding.ASCII.GetBytes($"{key.AccountId}/{key.Id}");
        byte[] header = [Version, (byte)name.Length, .. name, .. Convert.FromHexString(material.Id)];
        var blob = new byte[header.Length + NonceLength + TagLength + plaintext.Length];
        header.CopyTo(blob, 0);
        var nonce = blob.AsSpan(header.Length, NonceLength);
        RandomNumberGenerator.Fill(nonce);
        using var aes = new AesGcm(material.Secret!, TagLength);
        aes.Encrypt(
            nonce,
            plaintext,
            blob.AsSpan(header.Length + NonceLength + TagLength),
            blob.AsSpan(header.Length + NonceLength, TagLength),
            Authenticated(header, context));
        return blob;
    }

    public static bool TryParse(byte[] bytes, [NotNullWhen(true)] out CiphertextBlob? blob)
    {
        blob = null;
        if (bytes.Length < 2 || bytes[0] != Version)
            return false;
        var headerLength = 2 + bytes[1] + MaterialIdLength;
        if (bytes.Length < headerLength + NonceLength + TagLength)
            return false;
        if (Encoding.ASCII.GetString(bytes, 2, bytes[1]).Split('/') is not [var account, var key])
            return false;
        var materialId = Convert.ToHexStringLower(bytes.AsSpan(2 + bytes[1], MaterialIdLength));
        blob = new CiphertextBlob(account, key, materialId, bytes, headerLength);
        return true;
    }

    public bool TryOpen(
        KeyMaterial material,
        SortedDictionary<string, string> context,
        [NotNullWhen(true)] out byte[]? plaintext)
    {
        var sealedPart = Bytes.AsSpan(HeaderLength);
        var opened = new byte[sealedPart.Length - NonceLength - TagLength];
        using var aes = new AesGcm(material.Secret!, TagLength);
        try
        {
            aes.Decrypt(
                sealedPart[..NonceLength],
                sealedPart[(NonceLength + TagLength)..],
                sealedPart.Slice(NonceLength, TagLength),
                opened,
                Authenticated(Bytes.AsSpan(0, HeaderLength), context));
        }
        catch (AuthenticationTagMismatchException)
        {
            plaintext = null;
            return false;
        }

        plaintext = opened;
        return true;
    }

    private static byte[] Authenticated(ReadOnlySpan<byte> header, SortedDictionary<string, string> context)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream, Encoding.UTF8);
        writer.Write(header);
        foreach (var (name, value) in context)
        {
            // Each text is prefixed by its length, so that no two contexts are written alike.
            writer.Write(name);
            writer.Write(value);
        }

        writer.Flush();
        return stream.ToArray();
    }
}
