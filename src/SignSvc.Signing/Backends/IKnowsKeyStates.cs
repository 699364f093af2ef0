using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Backends;

/// <summary>In what state a private key was found where it lives, whoever brought it there.</summary>
/// <param name="Name">The backend's own word: <c>enabled</c>, <c>disabled</c>, <c>pendingDeletion</c>, <c>gone</c>.</param>
/// <param name="Signs">Whether the backend lets it sign.</param>
public sealed record BackendKeyState(string Name, bool Signs, DateTimeOffset FoundAt);

/// <summary>Ability: private keys have a state of their own at the backend, which others may change there.</summary>
public interface IKnowsKeyStates
{
    /// <summary>How often it is worth looking.</summary>
    TimeSpan LookEvery { get; }

    /// <summary>As it was found last by this node; null: not yet. It asks nobody.</summary>
    BackendKeyState? StateOf(KeyVersion version);

    /// <summary>Looks, and remembers what it finds.</summary>
    /// <exception cref="SigningException">The backend does not answer: what was found before stands.</exception>
    Task LookAsync(KeyVersion version, CancellationToken cancellationToken);
}
