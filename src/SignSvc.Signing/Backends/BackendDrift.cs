using System.Collections.Immutable;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Backends;

/// <summary>A key as it is here, held against what was found at its backend.</summary>
public static class BackendDrift
{
    /// <summary>A backend follows a change here within this time; what it was found in before says nothing.</summary>
    private static readonly TimeSpan Following = TimeSpan.FromSeconds(5);

    /// <summary>Null: it has none, or was not looked at since the key's state changed here.</summary>
    public static BackendKeyState? StateOf(BackendSet backends, Key key, KeyVersion version) =>
        KnowingOf(backends, key)?.StateOf(version) is { } found && found.FoundAt > (key.StateChangedAt ?? DateTimeOffset.MinValue) + Following ? found : null;

    /// <summary>Whether the version that signs may sign at the backend too; null: not known, or none signs.</summary>
    public static bool? MaySignThere(BackendSet backends, Key key, DateTimeOffset now) =>
        key.Signing(now) is { } version ? StateOf(backends, key, version)?.Signs : null;

    /// <summary>What whoever looks at the key has to know.</summary>
    public static IEnumerable<string> Warnings(BackendSet backends, Key key) => Looked(key)
        .Select(version => (version.Number, State: StateOf(backends, key, version)))
        .Where(found => found.State is { } state && state.Signs != (key.State == KeyState.Enabled))
        .Select(found => found.State!.Signs
            ? $"Version {found.Number} is {Words(found.State)} in {key.Backend}, though the key is not enabled here: whoever has access there can sign with it."
            : $"Version {found.Number} is {Words(found.State)} in {key.Backend}, though the key is enabled here: it does not sign. Enable it there; or disable the key here, and enable it.");

    /// <summary>Versions whose state matters: those that sign or will.</summary>
    public static IEnumerable<KeyVersion> Looked(Key key) => key.State is KeyState.Enabled or KeyState.Disabled
        ? key.Versions.Where(v => v is { State: VersionState.Active or VersionState.Announced, Handle: not null })
        : ImmutableArray<KeyVersion>.Empty;

    public static IKnowsKeyStates? KnowingOf(IKeyBackend? backend) => (backend is BudgetedBackend budgeted ? budgeted.Inner : backend) as IKnowsKeyStates;

    private static IKnowsKeyStates? KnowingOf(BackendSet backends, Key key) =>
        key.Tier == KeyTier.Assured ? KnowingOf(backends.Find(key.Tier, key.Backend)) : null;

    /// <summary><c>pendingDeletion</c> as people write it.</summary>
    private static string Words(BackendKeyState state) =>
        string.Concat(state.Name.Select(c => char.IsAsciiLetterUpper(c) ? $" {char.ToLowerInvariant(c)}" : $"{c}"));
}
