using System.Buffers;
using System.Collections.Frozen;
using Microsoft.AspNetCore.Http;

namespace SignSvc.Grpc;

/// <summary>
/// Metadata that the server sends. Names are lower-case letters, digits, <c>_</c>, <c>-</c> and <c>.</c>; those that
/// end in <c>-bin</c> carry bytes, all others printable ASCII. Names of the protocol's own (<c>grpc-…</c>) and of
/// HTTP's framing are refused.
/// </summary>
public sealed class ResponseMetadata
{
    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789_-.");

    private static readonly FrozenSet<string> Reserved = new[]
    {
        "connection", "content-encoding", "content-length", "content-type", "date", "host", "keep-alive", "server", "te",
        "trailer", "transfer-encoding", "upgrade",
    }.ToFrozenSet(StringComparer.Ordinal);

    private readonly List<KeyValuePair<string, string>> _entries = [];

    /// <exception cref="ArgumentException">A name or value that metadata cannot carry.</exception>
    public void Append(string name, string value)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(value);
        if (name.EndsWith("-bin", StringComparison.Ordinal))
            throw new ArgumentException($"Metadata '{name}' carries bytes: append bytes.", nameof(name));
        if (value.AsSpan().ContainsAnyExceptInRange(' ', '~'))
            throw new ArgumentException($"The value of metadata '{name}' is not printable ASCII.", nameof(value));
        Add(name, value);
    }

    /// <exception cref="ArgumentException">The name does not end in <c>-bin</c>, or metadata cannot carry it.</exception>
    public void Append(string name, ReadOnlySpan<byte> value)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (!name.EndsWith("-bin", StringComparison.Ordinal))
            throw new ArgumentException($"Metadata '{name}' carries text; the names of bytes end in -bin.", nameof(name));
        Add(name, Wire.BinaryHeader.Encode(value));
    }

    internal IReadOnlyList<KeyValuePair<string, string>> Entries => _entries;

    internal void CopyTo(IHeaderDictionary headers)
    {
        foreach (var (name, value) in _entries)
            headers.Append(name, value);
    }

    private void Add(string name, string value)
    {
        if (name.AsSpan().ContainsAnyExcept(NameCharacters)
            || name.StartsWith("grpc-", StringComparison.Ordinal)
            || Reserved.Contains(name))
        {
            throw new ArgumentException($"'{name}' cannot be the name of metadata.", nameof(name));
        }

        _entries.Add(new(name, value));
    }
}
