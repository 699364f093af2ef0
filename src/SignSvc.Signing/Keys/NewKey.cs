using System.Collections.Immutable;

namespace SignSvc.Signing.Keys;

/// <summary>A key as it shall be made. Only <see cref="Parse"/> makes one, so that an instance is coherent.</summary>
public sealed record NewKey
{
    /// <summary>AWS KMS's limit.</summary>
    public const int MaxDescriptionLength = 8192;
    public const int MaxTextLength = 256;

    private NewKey()
    {
    }

    public required string Name { get; init; }

    public string? Description { get; private init; }

    public string? Owner { get; private init; }

    public required KeyPurpose Purpose { get; init; }

    public required KeyTier Tier { get; init; }

    public required string Backend { get; init; }

    public required KeySpec Spec { get; init; }

    public required ImmutableArray<SigningAlgorithm> Algorithms { get; init; }

    public required RotationPolicy Rotation { get; init; }

    public bool DeletionProtection { get; private init; }

    /// <summary>The backend's name of a key that exists there and shall be taken into use; null: one is made.</summary>
    public string? Adopt { get; private init; }

    /// <summary>Imported: it is made without a version.</summary>
    public KeyOrigin Origin { get; private init; }

    /// <summary>See <see cref="Key.MultiRegion"/>.</summary>
    public bool? MultiRegion { get; private init; }

    /// <summary>False: it is made disabled, and signs nothing until it is enabled.</summary>
    public bool Enabled { get; private init; }

    /// <summary>Free ones: making a key takes none from another.</summary>
    public ImmutableSortedSet<string> Aliases { get; private init; } = ImmutableSortedSet<string>.Empty;

    public ImmutableSortedDictionary<string, string> Tags { get; private init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <param name="tier">Null: assured for artifacts, volume for tokens.</param>
    /// <param name="algorithms">Null or empty: the spec's first.</param>
    /// <param name="tags">See <see cref="TagRules"/>.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, <see cref="SigningFault.UnknownAlgorithm"/>, <see cref="SigningFault.AlgorithmMismatch"/>.</exception>
    public static NewKey Parse(
        string? name,
        KeyPurpose purpose,
        KeyTier? tier,
        string? backend,
        string? spec,
        IReadOnlyList<string>? algorithms,
        string? description = null,
        string? owner = null,
        IReadOnlyDictionary<string, string>? tags = null,
        RotationWish? rotation = null,
        bool deletionProtection = false,
        string? adopt = null,
        KeyOrigin origin = KeyOrigin.Generated,
        bool? multiRegion = null,
        bool enabled = true,
        IReadOnlyList<string>? aliases = null)
    {
        var keySpec = KeySpec.Parse(spec);
        var effectiveTier = tier ?? (purpose == KeyPurpose.Tokens ? KeyTier.Volume : KeyTier.Assured);
        if (effectiveTier == KeyTier.Volume && purpose != KeyPurpose.Tokens)
            throw Invalid("The volume tier is for tokens: short-lived keys do not fit artifacts that are verified for years.");
        if (origin == KeyOrigin.Adopted)
            throw Invalid("origin is generated or imported.");
        if (multiRegion is not null && (effectiveTier != KeyTier.Assured || origin != KeyOrigin.Generated || adopt is not null))
            throw Invalid("multiRegion is for assured keys that are made in their backend.");
        var keyName = KeyName.Parse(name);
        return new NewKey
        {
            Name = keyName,
            Description = CheckText("description", description, MaxDescriptionLength),
            Owner = CheckText("owner", owner),
            Purpose = purpose,
            Tier = effectiveTier,
            Backend = backend ?? "software",
            Spec = keySpec,
            Algorithms = ParseAlgorithms(keySpec, purpose, algorithms),
            Enabled = enabled,
            Aliases = ParseAliases(keyName, aliases),
            Tags = TagRules.Parse(tags),
            Rotation = ParseRotation(effectiveTier, purpose, rotation),
            DeletionProtection = deletionProtection,
            Adopt = CheckAdopt(effectiveTier, origin, adopt),
            Origin = origin,
            MultiRegion = multiRegion,
        };
    }

    /// <summary>A volume key is short-lived: without a wish it signs for 30 days, and never longer than 90.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public static RotationPolicy ParseRotation(KeyTier tier, KeyPurpose purpose, RotationWish? wish)
    {
        const int day = 86_400;
        var period = wish?.PeriodSeconds ?? (tier == KeyTier.Volume ? 30 * day : null);
        if (tier == KeyTier.Volume && period > 90 * day)
            throw Invalid("A volume key's rotation period is at most 90 days.");
        return RotationPolicy.Parse(purpose, period, wish?.LeadSeconds, wish?.GraceSeconds, wish?.JitterSeconds, wish?.Standby ?? false);
    }

    /// <summary>The policy of a key after a change of it; see <see cref="RotationWish.Over"/>.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public static RotationPolicy ChangeRotation(Key key, RotationWish wish) => ParseRotation(key.Tier, key.Purpose, wish.Over(key.Rotation));

    private static ImmutableArray<SigningAlgorithm> ParseAlgorithms(
        KeySpec spec, KeyPurpose purpose, IReadOnlyList<string>? names)
    {
        if (names is null or [])
            return [spec.Algorithms[0]];
        if (names.Count > spec.Algorithms.Length)
            throw new SigningException(SigningFault.AlgorithmMismatch, $"A {spec} key has at most {spec.Algorithms.Length} algorithms.");
        var algorithms = names.Select(SigningAlgorithm.Parse).Distinct().ToImmutableArray();
        if (algorithms.FirstOrDefault(a => !spec.CanSignWith(a)) is { } misfit)
            throw new SigningException(SigningFault.AlgorithmMismatch, $"A {spec} key cannot sign with {misfit}.");
        if (purpose == KeyPurpose.Tokens && algorithms.Length > 1)
            throw Invalid("A tokens key has exactly one algorithm (RFC 8725 section 3.1).");
        return algorithms;
    }

    private static ImmutableSortedSet<string> ParseAliases(string name, IReadOnlyList<string>? aliases)
    {
        var parsed = (aliases ?? []).Select(AliasName.Parse).ToImmutableSortedSet(StringComparer.Ordinal);
        if (parsed.Contains(name))
            throw Invalid("A key's own name is no alias.");
        return parsed.Count <= KeyAliases.MaxPerKey ? parsed : throw Invalid($"A key has at most {KeyAliases.MaxPerKey} aliases.");
    }

    private static string? CheckAdopt(KeyTier tier, KeyOrigin origin, string? adopt) =>
        adopt is not null && (tier != KeyTier.Assured || origin != KeyOrigin.Generated || adopt is not { Length: > 0 and <= 2048 })
            ? throw Invalid("Only an assured key can be adopted, by the name that its backend has for it, and not one to be imported.")
            : adopt;

    internal static string? CheckText(string what, string? text, int maxLength = MaxTextLength) =>
        text is null || (text.Length <= maxLength && !text.Any(char.IsControl))
            ? text
            : throw Invalid($"{what} has at most {maxLength} characters and no control characters.");

    private static SigningException Invalid(string message) => new(SigningFault.InvalidRequest, message);
}
