using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace SignSvc.Signing.Storage;

/// <summary>
/// HMAC-SHA256 over a document, under a key that is derived from the root key: whoever can write the database, but
/// does not hold the root key, cannot swap a public key, raise a credential's role or revive a version unnoticed.
/// Putting back an older document with its older seal is not detected here; the audit shows it.
/// </summary>
public sealed class DocumentSeal(byte[] key)
{
    public Document Seal(string kind, string id, int version, ReadOnlyMemory<byte> body) =>
        new(kind, id, version, body, Compute(kind, id, version, body.Span));

    /// <exception cref="SigningException"><see cref="SigningFault.StoreFailed"/>.</exception>
    public void Check(Document document)
    {
        if (!Fits(document))
        {
            throw new SigningException(
                SigningFault.StoreFailed,
                $"The stored {document.Kind} {document.Id} does not match its seal: the database was damaged or edited, "
                + "or the root key is not the one it was written with.");
        }
    }

    public bool Fits(Document document) => CryptographicOperations.FixedTimeEquals(
        Compute(document.Kind, document.Id, document.Version, document.Body.Span), document.Seal.Span);

    private byte[] Compute(string kind, string id, int version, ReadOnlySpan<byte> body)
    {
        using var hmac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, key);
        Span<byte> number = stackalloc byte[4];
        foreach (var text in (ReadOnlySpan<string>)[kind, id])
        {
            var bytes = Encoding.UTF8.GetBytes(text);
            BinaryPrimitives.WriteInt32BigEndian(number, bytes.Length);
            hmac.AppendData(number);
            hmac.AppendData(bytes);
        }

        BinaryPrimitives.WriteInt32BigEndian(number, version);
        hmac.AppendData(number);
        hmac.AppendData(body);
        return hmac.GetHashAndReset();
    }
}
