using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace SignSvc.Access.Issuers;

/// <summary>
/// Tokens that were verified already, by their SHA-256: a pipeline sends the same one with every call. Bounded by their
/// size, because whoever may get tokens of an issuer may get many: when the younger half is full, the older is forgotten.
/// </summary>
internal sealed class VerifiedTokens
{
    /// <summary>Characters of the tokens of one half. What is kept of a token takes a few times its size.</summary>
    private const int HalfCapacity = 2 * 1024 * 1024;

    private readonly Lock _gate = new();
    private Dictionary<TokenHash, Entry> _young = [];
    private Dictionary<TokenHash, Entry> _old = [];
    private long _youngSize;

    public Entry? Find(TokenHash hash)
    {
        lock (_gate)
        {
            if (_young.TryGetValue(hash, out var entry))
                return entry;
            if (!_old.TryGetValue(hash, out entry))
                return null;
            Keep(hash, entry);
            return entry;
        }
    }

    public void Add(TokenHash hash, Entry entry)
    {
        lock (_gate)
            Keep(hash, entry);
    }

    public void Remove(TokenHash hash)
    {
        lock (_gate)
        {
            if (_young.Remove(hash, out var entry))
                _youngSize -= entry.Size;
            _old.Remove(hash);
        }
    }

    private void Keep(TokenHash hash, Entry entry)
    {
        if (_youngSize + entry.Size > HalfCapacity)
            (_old, _young, _youngSize) = (_young, [], 0);
        if (_young.TryAdd(hash, entry))
            _youngSize += entry.Size;
    }

    /// <param name="Size">Characters of the token.</param>
    internal sealed record Entry(VerifiedToken Token, TrustedIssuer Issuer, IssuerKey Key, int Size)
    {
        /// <summary>Whether it would still be believed: not expired, and signed with a key that its issuer still shows.</summary>
        public bool IsGood(DateTimeOffset now) => now < Token.ExpiresAt && Issuer.Keys.Current?.Holds(Key) == true;
    }
}

/// <summary>SHA-256 of a token: a secret is not kept to recognise it by.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct TokenHash(UInt128 Upper, UInt128 Lower)
{
    public static TokenHash Of(string token)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(token), hash);
        return new TokenHash(BinaryPrimitives.ReadUInt128BigEndian(hash), BinaryPrimitives.ReadUInt128BigEndian(hash[16..]));
    }
}
