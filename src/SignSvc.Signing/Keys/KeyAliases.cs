using SignSvc.Signing.Access;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Keys;

/// <summary>Names that may move from key to key, atomically: at no moment does an alias stand for none or for two.</summary>
public sealed class KeyAliases(LiveSnapshot live, Decisions decisions, KeyEdits edits)
{
    /// <summary>AWS KMS's limit, for keys as they are used there.</summary>
    public const int MaxPerKey = 50;

    /// <exception cref="SigningException"><see cref="SigningFault.NameTaken"/>: a key has this name; <see cref="SigningFault.NotFound"/>; <see cref="SigningFault.Conflict"/>.</exception>
    public Task<Key> PutAsync(Caller caller, string alias, string reference, CancellationToken cancellationToken)
    {
        var draft = decisions.Draft(caller, Actions.AliasesPut, $"alias/{alias}");
        return decisions.ChangeAsync(caller, draft, async permit =>
        {
            var name = AliasName.Parse(alias);
            var basis = live.Current;
            if (!basis.Keys.TryGet(reference, out var key))
                throw KeyLifecycle.Unknown(caller);
            if (basis.Keys.TryGet(name, out var holder) && string.Equals(holder.Name, name, StringComparison.Ordinal))
                throw new SigningException(SigningFault.NameTaken, $"A key has the name {name}.");
            if (key.Aliases.Count >= MaxPerKey)
                throw new SigningException(SigningFault.InvalidRequest, $"A key has at most {MaxPerKey} aliases.");
            if (string.Equals(holder?.Id, key.Id, StringComparison.Ordinal))
                holder = null;

            var named = key with { Aliases = key.Aliases.Add(name) };
            var record = draft with { KeyId = key.Id, KeyName = key.Name, Detail = holder is null ? null : $"moved from {holder.Name}" };
            Change[] changes = holder is null
                ? [Change.Of(named, basis)]
                : [Change.Of(holder with { Aliases = holder.Aliases.Remove(name) }, basis), Change.Of(named, basis)];
            await live.ChangeAsync(permit, record, cancellationToken, changes);
            return named;
        });
    }

    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>.</exception>
    public Task<Key> DeleteAsync(Caller caller, string alias, CancellationToken cancellationToken) => edits.ApplyAsync(
        caller, Actions.AliasesDelete, alias, $"alias {alias} deleted",
        key => key.Aliases.Contains(alias)
            ? ValueTask.FromResult(key with { Aliases = key.Aliases.Remove(alias) })
            : throw new SigningException(SigningFault.NotFound, "There is no such alias."),
        cancellationToken);

    public Task<IReadOnlyList<(string Alias, Key Key)>> ListAsync(Caller caller, CancellationToken cancellationToken) => decisions.ReadAsync(
        caller, decisions.Draft(caller, Actions.KeysList),
        _ => ValueTask.FromResult<IReadOnlyList<(string, Key)>>(live.Current.Keys.Aliases.ToArray()), cancellationToken);
}
