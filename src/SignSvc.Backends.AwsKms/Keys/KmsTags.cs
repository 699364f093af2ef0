using Amazon.KeyManagementService.Model;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.AwsKms.Keys;

/// <summary>By its tags a KMS key is found again by those who lost its record, and known to administrators.</summary>
internal static class KmsTags
{
    public const string Installation = "signsvc:installation";
    public const string Intent = "signsvc:intent";
    private const string KeyId = "signsvc:key-id";
    private const string Version = "signsvc:version";
    private const string KeyName = "signsvc:key-name";

    /// <summary>Those above.</summary>
    private const int Ours = 5;

    public static IEnumerable<Tag> Of(AwsKmsOptions options, KeyIntent intent, string keyName) =>
        Of(options, intent.KeyId, intent.Version, keyName).Append(New(Intent, intent.Id));

    public static IEnumerable<Tag> Of(AwsKmsOptions options, string keyId, int version, string keyName) =>
    [
        New(Installation, options.Installation), New(KeyId, keyId), New(Version, $"{version}"), New(KeyName, keyName),
        .. options.Tags.Select(t => New(t.Key, t.Value)),
    ];

    /// <summary>How many tags of a key's own there is room for beside all of ours.</summary>
    public static int RoomIn(AwsKmsOptions options) => TagRules.Most - Ours - options.Tags.Count;

    /// <summary>
    /// The key's own tags beside ours; one that the installation's options have too is theirs. A tag that was taken off here
    /// stays on the KMS key: it cannot be told from an administrator's.
    /// </summary>
    public static List<Tag> Of(AwsKmsOptions options, Signing.Keys.Key key, Signing.Keys.KeyVersion version)
    {
        var ours = Of(options, key.Id, version.Number, key.Name).ToList();
        ours.AddRange(key.Tags
            .Where(t => !ours.Exists(o => string.Equals(o.TagKey, t.Key, StringComparison.Ordinal)))
            .Select(t => New(t.Key, t.Value)));
        return ours;
    }

    private static Tag New(string key, string value) => new() { TagKey = key, TagValue = value };
}
