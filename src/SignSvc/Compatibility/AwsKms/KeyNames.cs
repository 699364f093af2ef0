using SignSvc.Signing.Keys;

namespace SignSvc.Compatibility.AwsKms;

/// <summary>How AWS's clients name keys: an id, <c>alias/NAME</c>, or the ARN of either. A key's own name counts as one of its aliases.</summary>
internal static class KeyNames
{
    public const string Account = "000000000000";

    private const string AliasPrefix = "alias/";

    /// <summary>For AWS's own keys, of which there are none here: its clients are refused as there.</summary>
    private const string ReservedPrefix = "alias/aws/";

    /// <summary>AWS's limit.</summary>
    private const int MaxLength = 2048;

    public static string ArnOf(Key key, string region) => Arn(region, $"key/{key.Id}");

    public static string AliasArnOf(string alias, string region) => Arn(region, AliasPrefix + alias);

    public static string AliasOf(string name) => AliasPrefix + name;

    /// <returns>The key's id, or its name or alias.</returns>
    /// <exception cref="KmsException">It cannot name a key here, whichever there are.</exception>
    public static string Parse(string text, string region, bool mayBeAlias = true)
    {
        var name = text.StartsWith("arn:", StringComparison.Ordinal) ? OfArn(text, region) : text;
        if (Guid.TryParseExact(name, "D", out _))
            return name;
        return mayBeAlias && name.StartsWith(AliasPrefix, StringComparison.Ordinal) && AliasName.IsValid(name[AliasPrefix.Length..])
            ? name[AliasPrefix.Length..]
            : throw KmsException.NotFound($"Invalid keyId '{Shown(text)}'");
    }

    /// <param name="text"><c>alias/NAME</c>, no ARN.</param>
    public static string ParseAlias(string text)
    {
        if (!text.StartsWith(AliasPrefix, StringComparison.Ordinal))
            throw KmsException.Validation("Alias must start with the prefix \"alias/\". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html");
        if (text.StartsWith(ReservedPrefix, StringComparison.Ordinal))
            throw new KmsException("NotAuthorizedException", "The alias prefix alias/aws/ is reserved.");
        return AliasName.IsValid(text[AliasPrefix.Length..])
            ? text[AliasPrefix.Length..]
            : throw KmsException.Validation("After alias/ come one or more names ([a-z0-9][a-z0-9._-]{0,62}, no UUID) joined by slashes.");
    }

    /// <summary>What a caller hears of a key that is not there, by the name that was asked for.</summary>
    /// <param name="reference">As <see cref="Parse"/> returned it.</param>
    public static KmsException Unknown(string reference, string region) => Guid.TryParseExact(reference, "D", out _)
        ? KmsException.NotFound($"Key '{Arn(region, $"key/{reference}")}' does not exist")
        : UnknownAlias(reference, region);

    public static KmsException UnknownAlias(string alias, string region) =>
        KmsException.NotFound($"Alias {AliasArnOf(alias, region)} is not found.");

    private static string OfArn(string arn, string region)
    {
        if (arn.Length > MaxLength || arn.Split(':') is not [_, _, "kms", var inRegion, var account, var resource])
            throw new KmsException("InvalidArnException", $"Invalid arn {Shown(arn)}");
        if (!string.Equals(inRegion, region, StringComparison.Ordinal))
            throw KmsException.NotFound($"Invalid arn {Shown(inRegion)}");
        if (!string.Equals(account, Account, StringComparison.Ordinal))
            throw KmsException.NotFound($"Key '{Shown(arn)}' does not exist");
        return resource.StartsWith("key/", StringComparison.Ordinal) ? resource["key/".Length..] : resource;
    }

    private static string Arn(string region, string resource) => $"arn:aws:kms:{region}:{Account}:{resource}";

    private static string Shown(string text) => text.Length <= 128 ? text : $"{text.AsSpan(0, 128)}…";
}
