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

    public required DateTimeOffset CreatedAt { get; init; }

    public ImmutableSortedDictionary<string, string> Tags { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>In order of their numbers, from 1.</summary>
    public required ImmutableArray<KeyVersion> Versions { get; init; }

    /// <summary>The weakest of its versions: what may be said of the key as a whole.</summary>
    public Protection Protection => Versions.Min(v => v.Protection);

    /// <summary>The newest version that may sign at <paramref name="now"/>; null where there is none or the key is not enabled.</summary>
    public KeyVersion? Signing(DateTimeOffset now)
    {
        if (State != KeyState.Enabled)
            return null;
        for (var i = Versions.Length - 1; i >= 0; i--)
        {
            if (Versions[i].MaySignAt(now))
                return Versions[i];
        }

        return null;
    }

    public KeyVersion? Version(int number) => number >= 1 && number <= Versions.Length ? Versions[number - 1] : null;
}
