using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Backends;

/// <summary>
/// Ability: has budgets of its own for each place (a Region), and may hold the same private key at several of them.
/// All places of a key give it the same protection, so that falling back to another weakens nothing.
/// </summary>
public interface IHasPlaces
{
    /// <summary>Where wrapping and key management happen.</summary>
    string HomePlace { get; }

    /// <summary>Where the version can be used, best first; never empty.</summary>
    IReadOnlyList<string> PlacesOf(KeyVersion version);

    /// <inheritdoc cref="IKeyBackend.SignAsync"/>
    ValueTask<BackendSignature> SignAtAsync(
        string place, KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken);
}
