using System.Collections.Immutable;
using SignSvc.Signing.Access;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Tokens;

/// <summary>Token profiles: put, listed, read.</summary>
public sealed class TokenProfiles(LiveSnapshot live, Decisions decisions)
{
    /// <summary>Makes a profile or changes it.</summary>
    /// <param name="key">Id or name of a tokens key.</param>
    /// <param name="draft">The profile, with any key id: it is settled here.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, <see cref="SigningFault.Conflict"/>.</exception>
    public Task<TokenProfile> PutAsync(Caller caller, string key, TokenProfile draft, CancellationToken cancellationToken)
    {
        var record = decisions.Draft(caller, Actions.ProfilesPut, Decisions.Resource("profile", draft.Name));
        return decisions.ChangeAsync(caller, record, async permit =>
        {
            var basis = live.Current;
            if (!basis.Keys.TryGet(key, out var signing) || signing.Purpose != KeyPurpose.Tokens)
                throw new SigningException(SigningFault.InvalidRequest, "key names no key with the purpose tokens.");
            var profile = draft with { KeyId = signing.Id };
            profile.Check();
            await live.ChangeAsync(
                permit, record with { KeyId = signing.Id, KeyName = signing.Name }, cancellationToken, Change.Of(profile, basis));
            return profile;
        });
    }

    public Task<ImmutableArray<TokenProfile>> ListAsync(Caller caller, CancellationToken cancellationToken) =>
        decisions.ReadAsync(
            caller,
            decisions.Draft(caller, Actions.ProfilesRead),
            _ => ValueTask.FromResult(live.Current.Profiles.Values.ToImmutableArray()),
            cancellationToken);

    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>, <see cref="SigningFault.Forbidden"/>.</exception>
    public Task<TokenProfile> ReadAsync(Caller caller, string name, CancellationToken cancellationToken) =>
        decisions.ReadAsync(
            caller,
            decisions.Draft(caller, Actions.ProfilesRead, Decisions.Resource("profile", name)),
            _ => live.Current.Profiles.TryGetValue(name, out var profile)
                ? ValueTask.FromResult(profile)
                : throw new SigningException(SigningFault.NotFound, "There is no such token profile."),
            cancellationToken);
}
