namespace SignSvc.Signing.Access.Policies;

/// <summary>What a condition can ask for.</summary>
internal enum FactKind
{
    CallerPrincipal,
    CallerClaim,
    ArtifactType,
    ArtifactName,
    ArtifactUri,
    ArtifactDigest,
    PredicateType,
    Repository,
    Commit,
    Ref,
    Run,
    TokenProfile,
    TokenAudience,
    TokenLifetime,
    TokenSubject,
    TokenClaim,
    KeyName,
    KeyId,
    KeyTier,
    KeyPurpose,
    KeySpec,
    KeyOwner,
    KeyProtection,
    KeyTag,
    Time,
    Address,
    Bytes,
    Count,
}

/// <summary>The name of something that is known of a request, as conditions write it.</summary>
/// <param name="Member">Behind the prefix, for <c>caller.*</c>, <c>token.claims.*</c>, <c>key.tags.*</c>.</param>
internal sealed record Fact(string Name, FactKind Kind, string Member = "")
{
    public const int MaxNameLength = 255;

    private static readonly Dictionary<string, FactKind> Known = new(StringComparer.Ordinal)
    {
        ["caller.principal"] = FactKind.CallerPrincipal,
        ["context.artifact.type"] = FactKind.ArtifactType,
        ["context.artifact.name"] = FactKind.ArtifactName,
        ["context.artifact.uri"] = FactKind.ArtifactUri,
        ["context.artifact.digest"] = FactKind.ArtifactDigest,
        ["context.predicateType"] = FactKind.PredicateType,
        ["context.repository"] = FactKind.Repository,
        ["context.commit"] = FactKind.Commit,
        ["context.ref"] = FactKind.Ref,
        ["context.run"] = FactKind.Run,
        ["token.profile"] = FactKind.TokenProfile,
        ["token.audience"] = FactKind.TokenAudience,
        ["token.lifetimeSeconds"] = FactKind.TokenLifetime,
        ["token.subject"] = FactKind.TokenSubject,
        ["key.name"] = FactKind.KeyName,
        ["key.id"] = FactKind.KeyId,
        ["key.tier"] = FactKind.KeyTier,
        ["key.purpose"] = FactKind.KeyPurpose,
        ["key.spec"] = FactKind.KeySpec,
        ["key.owner"] = FactKind.KeyOwner,
        ["key.protection"] = FactKind.KeyProtection,
        ["request.time"] = FactKind.Time,
        ["request.address"] = FactKind.Address,
        ["request.bytes"] = FactKind.Bytes,
        ["request.count"] = FactKind.Count,
    };

    private static readonly (string Prefix, FactKind Kind)[] Open =
    [
        ("caller.", FactKind.CallerClaim), ("token.claims.", FactKind.TokenClaim), ("key.tags.", FactKind.KeyTag),
    ];

    /// <summary>Settled before what is being asked for is known, so that a grant's giver can be judged by it.</summary>
    public bool IsOfCallerOrKey => Kind is FactKind.CallerPrincipal or FactKind.CallerClaim
        or FactKind.KeyName or FactKind.KeyId or FactKind.KeyTier or FactKind.KeyPurpose or FactKind.KeySpec;

    /// <summary>Whoever may change a key changes it.</summary>
    public bool IsOfMutableKey => Kind is FactKind.KeyTag or FactKind.KeyOwner;

    public bool IsOfCaller => Kind is FactKind.CallerPrincipal or FactKind.CallerClaim or FactKind.Address;

    public static Fact? Find(string name)
    {
        if (Known.TryGetValue(name, out var kind))
            return new Fact(name, kind);
        foreach (var (prefix, open) in Open)
        {
            if (name.Length > prefix.Length && name.Length <= MaxNameLength && name.StartsWith(prefix, StringComparison.Ordinal))
                return new Fact(name, open, name[prefix.Length..]);
        }

        return null;
    }

    public static IEnumerable<string> Names => [.. Known.Keys, .. Open.Select(o => $"{o.Prefix}*")];
}
