using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Access.Grants;

/// <summary>
/// A grant token says that a grant exists: a node that has not heard of the grant yet reads the store before it decides.
/// It allows nothing by itself, so that it is no secret; it is sealed, so that nobody can make nodes read at will.
/// </summary>
/// <param name="key">Derived from the root key for this purpose alone.</param>
public sealed class GrantTokens(byte[] key, LiveSnapshot live)
{
    private const string Prefix = "sgt1_";
    private const int IdLength = 16;
    private const int TagLength = 16;

    /// <summary>About 100 bytes each. Beyond it all are forgotten, and cost a read each once more.</summary>
    private const int MaxEnded = 10_000;

    private readonly ConcurrentDictionary<string, bool> _ended = new(StringComparer.Ordinal);

    public string For(Grant grant)
    {
        Span<byte> bytes = stackalloc byte[IdLength + TagLength];
        Guid.Parse(grant.Id).TryWriteBytes(bytes);
        Tag(bytes[..IdLength]).CopyTo(bytes[IdLength..]);
        return Prefix + Base64Url.EncodeToString(bytes);
    }

    /// <summary>Returns when this node knows the grant, if there is one. A token that is none of ours changes nothing.</summary>
    public async ValueTask HeedAsync(string token, CancellationToken cancellationToken)
    {
        if (Read(token) is not { } id || live.Current.Grants.ContainsKey(id) || _ended.ContainsKey(id))
            return;
        await live.RefreshAsync(cancellationToken);
        if (live.Current.Grants.ContainsKey(id))
            return;
        // It was stored before its token was given away: what is not there by now has ended, and does not come back.
        if (_ended.Count >= MaxEnded)
            _ended.Clear();
        _ended.TryAdd(id, true);
    }

    private string? Read(string token)
    {
        Span<byte> bytes = stackalloc byte[IdLength + TagLength + 4];
        return token.Length is > 5 and <= 64 && token.StartsWith(Prefix, StringComparison.Ordinal)
            && Base64Url.TryDecodeFromChars(token.AsSpan(Prefix.Length), bytes, out var length) && length == IdLength + TagLength
            && CryptographicOperations.FixedTimeEquals(bytes[IdLength..length], Tag(bytes[..IdLength]))
                ? new Guid(bytes[..IdLength]).ToString()
                : null;
    }

    private byte[] Tag(ReadOnlySpan<byte> id) => HMACSHA256.HashData(key, id)[..TagLength];
}
