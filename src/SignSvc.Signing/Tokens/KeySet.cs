using System.Buffers;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tokens;

/// <summary>A JWK set (RFC 7517 section 5) as the bytes that are served, with their strong ETag. Immutable.</summary>
public sealed class KeySet
{
    private KeySet(byte[] json)
    {
        Json = json;
        ETag = $"\"{Base64Url.EncodeToString(SHA256.HashData(json).AsSpan(0, 18))}\"";
    }

    public ReadOnlyMemory<byte> Json { get; }

    /// <summary>Quoted, as it stands in the header.</summary>
    public string ETag { get; }

    /// <summary>Every published version of every tokens key, in order of key names and version numbers, so that equal keys give equal bytes.</summary>
    public static KeySet OfTokens(KeyRing keys) =>
        Of(keys.All.Where(k => k.Purpose == KeyPurpose.Tokens && k.State != KeyState.Deleted));

    public static KeySet Of(IEnumerable<Key> keys)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteStartArray("keys");
            foreach (var key in keys)
            {
                foreach (var version in key.Versions.Where(v => v.IsPublished))
                    WriteJwk(writer, key, version);
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        return new KeySet(buffer.WrittenSpan.ToArray());
    }

    /// <summary>One public JWK with <c>kid</c> and <c>use</c>; <c>alg</c> where the key has exactly one algorithm.</summary>
    public static void WriteJwk(Utf8JsonWriter writer, Key key, KeyVersion version)
    {
        writer.WriteStartObject();
        version.PublicKey.WriteJwkMembers(writer);
        writer.WriteString("kid", version.Kid);
        writer.WriteString("use", "sig");
        if (key.Algorithms.Length == 1)
            writer.WriteString("alg", key.Algorithms[0].Name);
        writer.WriteEndObject();
    }
}
