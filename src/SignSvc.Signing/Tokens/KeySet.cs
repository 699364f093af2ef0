using System.Buffers;
using System.Buffers.Text;
using System.Collections.Immutable;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text.Json;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tokens;

/// <summary>A JWK set (RFC 7517 section 5) as the bytes that are served, with their strong ETag. Immutable.</summary>
public sealed class KeySet
{
    /// <summary>
    /// What verifiers take without complaint. A set that certificate chains would make larger is served without them:
    /// a chain is of use to few, a key to all.
    /// </summary>
    public const int MaxBytesWithChains = 128 * 1024;

    /// <summary>How long a verifier may keep a key set at the most: part of the time that a new key waits before it signs.</summary>
    public const int MaxAgeSeconds = 300;

    /// <summary>The shortest lead by which verifiers that follow <c>max-age</c> know every version before it signs: its own age at the longest, skew, convergence.</summary>
    public static readonly TimeSpan EnoughLead = TimeSpan.FromSeconds(MaxAgeSeconds) + KeySchedule.Skew + KeySchedule.Convergence;

    private readonly Lazy<byte[]> _gzip;

    private KeySet(byte[] json, int maxAgeSeconds, ImmutableArray<string> algorithms)
    {
        Json = json;
        Algorithms = algorithms;
        MaxAge = maxAgeSeconds;
        var hash = Base64Url.EncodeToString(SHA256.HashData(json).AsSpan(0, 18));
        ETag = $"\"{hash}\"";
        GzipETag = $"\"{hash}.gz\"";
        _gzip = new Lazy<byte[]>(() => Compress(json));
    }

    public ReadOnlyMemory<byte> Json { get; }

    /// <summary>With which its keys sign, in order of their names.</summary>
    public ImmutableArray<string> Algorithms { get; }

    /// <summary>Quoted, as it stands in the header.</summary>
    public string ETag { get; }

    /// <summary>Of the compressed bytes: a strong ETag names bytes, not what they mean (RFC 9110 section 8.8.3.3).</summary>
    public string GzipETag { get; }

    /// <summary>The same set, compressed; made when first asked for.</summary>
    public ReadOnlyMemory<byte> Gzip => _gzip.Value;

    /// <summary>
    /// Seconds for <c>max-age</c>: a third of the shortest lead among its keys, from 1 to 300, so that a verifier has
    /// looked again well before a new key signs. A lead of 0 is its operator's choice and counts for nothing here, as does
    /// the lead of a key that signs nothing: everybody would pay for it.
    /// </summary>
    public int MaxAge { get; }

    /// <summary>Every published version of these keys, in order of key names and version numbers, so that equal keys give equal bytes.</summary>
    /// <param name="signs">Whether a key signs for this set's verifiers; null: all do.</param>
    public static KeySet Of(IEnumerable<Key> keys, Func<Key, bool>? signs = null)
    {
        var all = keys.ToArray();
        var json = Write(all, withChains: true);
        if (json.Length > MaxBytesWithChains)
            json = Write(all, withChains: false);
        var shortest = all
            .Where(k => k.State != KeyState.PendingDeletion && signs?.Invoke(k) != false)
            .Select(k => SigningPeriod.LeadOf(k))
            .Where(lead => lead > TimeSpan.Zero)
            .DefaultIfEmpty(TimeSpan.MaxValue)
            .Min();
        var algorithms = all.Where(k => k.Versions.Any(v => v.IsPublished)).SelectMany(k => k.Algorithms.Select(a => a.Name));
        return new KeySet(
            json, (int)Math.Clamp(shortest.TotalSeconds / 3, 1, MaxAgeSeconds),
            [.. algorithms.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)]);
    }

    /// <summary>One public JWK with <c>kid</c> and <c>use</c>; <c>alg</c> where the key has exactly one algorithm; <c>x5c</c> where it has a chain.</summary>
    public static void WriteJwk(Utf8JsonWriter writer, Key key, KeyVersion version, bool withChain = true)
    {
        writer.WriteStartObject();
        version.PublicKey.WriteJwkMembers(writer);
        writer.WriteString("kid", version.Kid);
        writer.WriteString("use", "sig");
        if (key.Algorithms.Length == 1)
            writer.WriteString("alg", key.Algorithms[0].Name);
        if (withChain && !version.CertificateChain.IsEmpty)
        {
            // RFC 7517 section 4.7: DER in standard base64.
            writer.WriteStartArray("x5c");
            foreach (var certificate in version.CertificateChain)
                writer.WriteStringValue(certificate);
            writer.WriteEndArray();
        }

        writer.WriteEndObject();
    }

    private static byte[] Write(Key[] keys, bool withChains)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            writer.WriteStartArray("keys");
            foreach (var key in keys)
            {
                foreach (var version in key.Versions.Where(v => v.IsPublished))
                    WriteJwk(writer, key, version, withChains);
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    private static byte[] Compress(byte[] json)
    {
        var stream = new MemoryStream();
        using (var gzip = new GZipStream(stream, CompressionLevel.SmallestSize, leaveOpen: true))
            gzip.Write(json);
        return stream.ToArray();
    }
}
