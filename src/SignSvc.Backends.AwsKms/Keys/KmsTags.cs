using System.Text.RegularExpressions;
using Amazon.KeyManagementService.Model;
using SignSvc.Signing.Backends;

namespace SignSvc.Backends.AwsKms.Keys;

/// <summary>By its tags a KMS key is found again by those who lost its record, and known to administrators.</summary>
internal static partial class KmsTags
{
    public const string Installation = "signsvc:installation";
    public const string Intent = "signsvc:intent";
    private const string KeyId = "signsvc:key-id";
    private const string Version = "signsvc:version";
    private const string KeyName = "signsvc:key-name";

    /// <summary>What AWS allows on one key.</summary>
    private const int Most = 50;

    public static IEnumerable<Tag> Of(AwsKmsOptions options, KeyIntent intent, string keyName) =>
        Of(options, intent.KeyId, intent.Version, keyName).Append(New(Intent, intent.Id));

    public static IEnumerable<Tag> Of(AwsKmsOptions options, string keyId, int version, string keyName) =>
    [
        New(Installation, options.Installation), New(KeyId, keyId), New(Version, $"{version}"), New(KeyName, keyName),
        .. options.Tags.Select(t => New(t.Key, t.Value)),
    ];

    /// <summary>
    /// The key's own tags beside ours, in the characters that AWS takes, and as many as there is room for. A tag that
    /// was taken off here stays on the KMS key: it cannot be told from an administrator's.
    /// </summary>
    public static List<Tag> Of(AwsKmsOptions options, Signing.Keys.Key key, Signing.Keys.KeyVersion version)
    {
        var ours = Of(options, key.Id, version.Number, key.Name).ToList();
        var room = Most - ours.Count - 1;
        ours.AddRange(key.Tags
            .Select(t => New(Clean(t.Key), Clean(t.Value)))
            .Where(t => t.TagKey.Length > 0
                && !t.TagKey.StartsWith("aws:", StringComparison.OrdinalIgnoreCase)
                && !ours.Exists(o => string.Equals(o.TagKey, t.TagKey, StringComparison.Ordinal)))
            .DistinctBy(t => t.TagKey, StringComparer.Ordinal)
            .Take(room));
        return ours;
    }

    private static Tag New(string key, string value) => new() { TagKey = key, TagValue = value };

    private static string Clean(string text) => Refused().Replace(text, "_");

    [GeneratedRegex(@"[^\p{L}\p{Z}\p{N}_.:/=+\-@]", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Refused();
}
