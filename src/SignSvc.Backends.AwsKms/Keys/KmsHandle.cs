using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;
using SignSvc.Signing;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.AwsKms.Keys;

/// <summary>
/// The handle of a version: the ARN of its KMS key and the kid of its public key, so that a handle put under another
/// version is noticed before anything is signed. Signing always names the ARN: an alias can move between two calls.
/// </summary>
public sealed partial record KmsHandle
{
    private KmsHandle(string arn, string region, string id, string kid)
    {
        Arn = arn;
        Region = region;
        Id = id;
        Kid = kid;
    }

    public string Arn { get; }

    public string Region { get; }

    public string Id { get; }

    public string Kid { get; }

    /// <summary>Same id and material in several Regions.</summary>
    public bool IsMultiRegion => Id.StartsWith("mrk-", StringComparison.Ordinal);

    /// <exception cref="SigningException"><see cref="SigningFault.KeyNotUsable"/>: destroyed, or not this version's.</exception>
    internal static KmsHandle Of(KeyVersion version)
    {
        if (TryParse(version.Handle, out var handle) && string.Equals(handle.Kid, version.Kid, StringComparison.Ordinal))
            return handle;
        throw new SigningException(
            SigningFault.KeyNotUsable, version.Handle is null ? "The private key was destroyed." : "The handle is not this version's.");
    }

    public static bool TryParse(string? text, [NotNullWhen(true)] out KmsHandle? handle)
    {
        var match = Form().Match(text ?? "");
        handle = match.Success
            ? new KmsHandle(match.Groups["arn"].Value, match.Groups["region"].Value, match.Groups["id"].Value, match.Groups["kid"].Value)
            : null;
        return handle is not null;
    }

    /// <summary>Whether a stored handle is of this KMS key.</summary>
    public static bool Names(string? handle, string arn) =>
        TryParse(handle, out var parsed) && string.Equals(parsed.Arn, arn, StringComparison.Ordinal);

    internal static string Write(string arn, PublicKey publicKey) => $"{arn}#{publicKey.Kid}";

    /// <summary>The same key's ARN in another Region.</summary>
    internal string ArnIn(string region) => string.Join(':', Arn.Split(':').Select((part, i) => i == 3 ? region : part));

    [GeneratedRegex(@"^(?<arn>arn:aws[a-z-]*:kms:(?<region>[a-z0-9-]{1,32}):\d{12}:key/(?<id>[a-zA-Z0-9-]{1,64}))#(?<kid>[A-Za-z0-9_-]{43})\z", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Form();
}
