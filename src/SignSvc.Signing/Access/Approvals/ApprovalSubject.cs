using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Access.Approvals;

/// <summary>
/// The canonical request: all that decides what will be done, written in one way only. Approvers see it, and an approval
/// holds for its SHA-256 alone.
/// </summary>
public sealed record ApprovalSubject
{
    /// <summary>What people can look through, and what makes documents of a bounded size.</summary>
    public const int MaxBytes = 32 * 1024;

    public required string Action { get; init; }

    /// <summary><c>key/ID</c> (names may move to other keys), <c>policy/NAME</c>, <c>profile/NAME</c>, <c>approval-rule/NAME</c>.</summary>
    public required string Resource { get; init; }

    /// <summary>Of a signature: the version that would sign it, whether it was asked for or is the one that signs now.</summary>
    public int? Version { get; init; }

    /// <summary>Of that version.</summary>
    public string? Kid { get; init; }

    public string? Algorithm { get; init; }

    /// <summary>Standard base64.</summary>
    public string? Digest { get; init; }

    public SigningContext? Context { get; init; }

    /// <summary>Whatever else the request holds.</summary>
    public ImmutableSortedDictionary<string, string>? Parameters { get; init; }

    /// <summary>In the one way in which times are written here.</summary>
    public static string Text(DateTimeOffset? time) => time is { } at ? at.ToUniversalTime().ToString("O", CultureInfo.InvariantCulture) : "";

    public static ApprovalSubject OfKey(string action, Key key, params ReadOnlySpan<(string Name, string Value)> parameters) =>
        Of(action, $"key/{key.Id}", parameters);

    public static ApprovalSubject Of(string action, string resource, params ReadOnlySpan<(string Name, string Value)> parameters)
    {
        var all = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        foreach (var (name, value) in parameters)
            all[name] = value;
        return new ApprovalSubject { Action = action, Resource = resource, Parameters = all.Count == 0 ? null : all.ToImmutable() };
    }

    /// <summary>What is too long, or not meant, to be shown.</summary>
    public static string Fingerprint(ReadOnlySpan<byte> bytes) => $"sha256:{Convert.ToHexStringLower(SHA256.HashData(bytes))}";

    /// <inheritdoc cref="Fingerprint(ReadOnlySpan{byte})"/>
    public static string Fingerprint(string text) => Fingerprint(Encoding.UTF8.GetBytes(text));

    /// <exception cref="SigningException"><see cref="SigningFault.TooLarge"/>.</exception>
    internal string Hash()
    {
        var canonical = JsonSerializer.SerializeToUtf8Bytes(this, SigningJson.Default.ApprovalSubject);
        return canonical.Length <= MaxBytes
            ? Convert.ToHexStringLower(SHA256.HashData(canonical))
            : throw new SigningException(SigningFault.TooLarge, $"What needs approval is described in {MaxBytes} bytes at the most.");
    }

    /// <summary>The key in question, as it stands.</summary>
    internal Key? KeyIn(Snapshot snapshot) =>
        Resource.StartsWith("key/", StringComparison.Ordinal) && snapshot.Keys.TryGet(Resource[4..], out var key) ? key : null;
}
