using System.Collections.Immutable;

namespace SignSvc.Signing.Keys;

/// <summary>A named thing that signs, and all its versions. Immutable; a change makes a new record in a new snapshot.</summary>
public sealed record Key
{
    /// <summary>UUID version 7 in its usual form; never reused, never changed.</summary>
    public required string Id { get; init; }

    /// <summary>See <see cref="KeyName"/>; unique among names and aliases.</summary>
    public required string Name { get; init; }

    public string? Description { get; init; }

    public string? Owner { get; init; }

    public required KeyPurpose Purpose { get; init; }

    public required KeyTier Tier { get; init; }

    /// <summary>Name of the backend that holds (assured) or wraps (volume) the private keys.</summary>
    public required string Backend { get; init; }

    public required KeySpec Spec { get; init; }

    /// <summary>What this key signs with; the first is the default. A tokens key has exactly one (RFC 8725 section 3.1).</summary>
    public required ImmutableArray<SigningAlgorithm> Algorithms { get; init; }

    public required KeyState State { get; init; }

    /// <summary>When it was last enabled, disabled, or its deletion scheduled or cancelled; null: never.</summary>
    public DateTimeOffset? StateChangedAt { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Where its versions come from. Imported: from outside only, and it may have none yet. A key that is made here may have imported versions too.</summary>
    public KeyOrigin Origin { get; init; }

    public ImmutableSortedDictionary<string, string> Tags { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>Further names, which may move from key to key; see <see cref="AliasName"/>.</summary>
    public ImmutableSortedSet<string> Aliases { get; init; } = ImmutableSortedSet<string>.Empty;

    /// <summary>Whether its versions may be replicated to further places of their backend; null: as the backend is configured.</summary>
    public bool? MultiRegion { get; init; }

    /// <summary>Null: on demand, with the purpose's usual lead.</summary>
    public RotationPolicy? Rotation { get; init; }

    /// <summary>Deletion is refused until this is taken off.</summary>
    public bool DeletionProtection { get; init; }

    /// <summary>Versions below neither sign nor are chosen.</summary>
    public int MinSigningVersion { get; init; } = 1;

    /// <summary>Signatures of versions below do not verify here.</summary>
    public int MinVerificationVersion { get; init; } = 1;

    /// <summary>A token profile that is deleted now signed payloads with it: it stays out of the issuers' key sets, and signs no tokens.</summary>
    public bool SignedPayloads { get; init; }

    /// <summary>How many rotations on demand made or hastened a successor. It makes the <see cref="KeyTag"/> tell whether one came before.</summary>
    public int RotationsOnDemand { get; init; }

    /// <summary>When a key that is pending deletion goes for good.</summary>
    public DateTimeOffset? DeletesAt { get; init; }

    /// <summary>Others approved that it be deleted; false also where no rule asked them, or somebody went on without them.</summary>
    public bool DeletionApproved { get; init; }

    /// <summary>In order of their numbers, from 1.</summary>
    public required ImmutableArray<KeyVersion> Versions { get; init; }

    /// <summary>The weakest of its versions: what may be said of the key as a whole. Without a version there is nothing to boast of.</summary>
    public Protection Protection => Versions.IsEmpty ? Protection.Software : Versions.Min(v => v.Protection);

    /// <summary>The newest version that may sign at <paramref name="now"/>; null where there is none or the key is not enabled.</summary>
    public KeyVersion? Signing(DateTimeOffset now)
    {
        if (State != KeyState.Enabled)
            return null;
        for (var i = Versions.Length - 1; i >= 0; i--)
        {
            if (Versions[i].MaySignAt(now) && Versions[i].Number >= MinSigningVersion)
                return Versions[i];
        }

        return null;
    }

    /// <summary>
    /// The version whose public key stands for the key: the one that signs, or did until the key was stopped. Its announced
    /// successor has signed nothing. Null: none is active.
    /// </summary>
    public KeyVersion? InForce(DateTimeOffset now) => Signing(now) ?? Versions.LastOrDefault(v => v.State == VersionState.Active);

    public Key With(KeyVersion version) => this with { Versions = Versions.SetItem(version.Number - 1, version) };

    public KeyVersion? Version(int number) => number >= 1 && number <= Versions.Length ? Versions[number - 1] : null;
}
