using System.Security.Cryptography;
using System.Text.Json;

namespace SignSvc.Signing.Keys;

/// <summary>
/// Names a key as it stands, for changes on condition that nobody else's came first. Its versions do not count: what the
/// schedule does between a plan and its steps is no reason to plan again. A rotation on demand counts.
/// </summary>
public static class KeyTag
{
    private const int Bytes = 12;

    public static string Of(Key key)
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(key with { Versions = [] }, SigningJson.Default.Key);
        return Convert.ToHexStringLower(SHA256.HashData(json).AsSpan(0, Bytes));
    }

    /// <param name="onlyIf">The tag that the key must have; null: any.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.PreconditionFailed"/>.</exception>
    internal static void Require(Key key, string? onlyIf)
    {
        if (onlyIf is not null && !string.Equals(Of(key), onlyIf, StringComparison.Ordinal))
            throw new SigningException(SigningFault.PreconditionFailed, $"{key.Name} was changed after it was read: read it again and decide anew.");
    }
}
