using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Keys;

/// <summary>What there has to be of an alias before it is put.</summary>
public enum AliasBefore
{
    Any,
    Absent,
    Present,
}

/// <summary>Names that may move from key to key, atomically: at no moment does an alias stand for none or for two.</summary>
public sealed class KeyAliases(LiveSnapshot live, Decisions decisions, KeyEdits edits, AuditLog audit)
{
    /// <summary>AWS KMS's limit, for keys as they are used there.</summary>
    public const int MaxPerKey = 50;

    /// <param name="onlyIf">The <see cref="KeyTag"/> that the key must have; null: any.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.NameTaken"/>: a key has this name; <see cref="SigningFault.NotFound"/>; <see cref="SigningFault.KeyNotUsable"/>: the key is pending deletion.</exception>
    public Task<Key> PutAsync(
        Caller caller, string alias, string reference, CancellationToken cancellationToken, AliasBefore before = AliasBefore.Any,
        string? onlyIf = null)
    {
        // The key that is decided on and approved: another alias, by which it is named here, may move meanwhile.
        var target = live.Current.Keys.TryGet(reference, out var named) ? named.Id : reference;
        var draft = decisions.Draft(caller, Actions.AliasesPut, $"alias/{alias}") with { KeyId = named?.Id, KeyName = named?.Name };
        return decisions.ChangeAsync(
            caller, draft,
            permit =>
            {
                var name = AliasName.Parse(alias);
                return edits.RepeatAsync(
                    basis => ValueTask.FromResult(Move(basis, permit, draft, name, target, before, onlyIf, cancellationToken)), cancellationToken);
            },
            subject: () =>
            {
                // Nobody is asked to approve what is denied.
                RequireAlias(caller, draft);
                RequireHolder(caller, draft, live.Current.Keys.TryGet(alias, out var holder) ? holder : null);
                return ApprovalSubject.Of(Actions.AliasesPut, draft.Resource!, ("key", target), ("before", before.ToString()));
            });
    }

    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>.</exception>
    public Task<Key> DeleteAsync(Caller caller, string alias, CancellationToken cancellationToken, string? onlyIf = null) => edits.ApplyAsync(
        caller, Actions.AliasesDelete, alias, $"alias {alias} deleted",
        key => key.Aliases.Contains(alias)
            ? ValueTask.FromResult(key with { Aliases = key.Aliases.Remove(alias) })
            : throw decisions.Unknown(caller, "There is no such alias."),
        cancellationToken,
        key => ApprovalSubject.Of(Actions.AliasesDelete, $"alias/{alias}", ("key", key.Id)),
        onlyIf,
        $"alias/{alias}");

    /// <summary>Those of keys that the caller may read.</summary>
    public Task<IReadOnlyList<(string Alias, Key Key)>> ListAsync(Caller caller, CancellationToken cancellationToken) => decisions.ReadAsync(
        caller, decisions.Draft(caller, Actions.KeysList),
        _ => ValueTask.FromResult<IReadOnlyList<(string Alias, Key Key)>>(live.Current.Keys.Aliases.Where(a => decisions.MayRead(caller, a.Key)).ToArray()),
        cancellationToken);

    /// <summary>Only an alias: an id or a key's own name is none.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>.</exception>
    public Task<Key> ReadAsync(Caller caller, string alias, CancellationToken cancellationToken)
    {
        var known = live.Current.Keys.TryGet(alias, out var key) && key.Aliases.Contains(alias);
        var draft = decisions.Draft(caller, Actions.KeysRead, $"alias/{alias}") with
        {
            KeyId = known ? key!.Id : null,
            KeyName = known ? key!.Name : null,
        };
        return decisions.ReadAsync(
            caller, draft, _ => known ? ValueTask.FromResult(key!) : throw decisions.Unknown(caller, "There is no such alias."), cancellationToken);
    }

    private KeyAttempt Move(
        Snapshot basis, Permit permit, AuditRecord draft, string name, string reference, AliasBefore before, string? onlyIf,
        CancellationToken cancellationToken)
    {
        RequireAlias(permit.Caller, draft);
        if (!basis.Keys.TryGet(reference, out var key) || key.State == KeyState.Deleted)
            throw decisions.UnknownKey(permit.Caller);
        if (key.State == KeyState.PendingDeletion)
            throw new SigningException(SigningFault.KeyNotUsable, $"{key.Name} is pending deletion: cancel that first.");
        KeyTag.Require(key, onlyIf);
        var record = draft with { KeyId = key.Id, KeyName = key.Name };
        var isTaken = basis.Keys.TryGet(name, out var holder);
        if (before == AliasBefore.Absent && isTaken)
            throw new SigningException(SigningFault.NameTaken, $"There is an alias or a key {name} already.");
        if (before == AliasBefore.Present && !(isTaken && holder!.Aliases.Contains(name)))
            throw new SigningException(SigningFault.NotFound, "There is no such alias.");
        if (key.Aliases.Contains(name))
            return new KeyAttempt(key, async () => await audit.AppendAsync(record with { Detail = "it was so already" }, cancellationToken));
        if (holder is not null && string.Equals(holder.Name, name, StringComparison.Ordinal))
            throw new SigningException(SigningFault.NameTaken, $"A key has the name {name}.");
        if (key.Aliases.Count >= MaxPerKey)
            throw new SigningException(SigningFault.InvalidRequest, $"A key has at most {MaxPerKey} aliases.");

        RequireHolder(permit.Caller, draft, holder);
        var named = key with { Aliases = key.Aliases.Add(name) };
        Change[] changes = holder is null
            ? [Change.Of(named, basis)]
            : [Change.Of(holder with { Aliases = holder.Aliases.Remove(name) }, basis), Change.Of(named, basis)];
        var moved = record with { Detail = holder is null ? null : $"moved from {holder.Name}" };
        return new KeyAttempt(named, () => live.ChangeAsync(permit, moved, cancellationToken, changes));
    }

    /// <summary>A right on the key alone gives no names: those are anybody's, and others sign by them.</summary>
    private void RequireAlias(Caller caller, AuditRecord draft) => decisions.RequirePolicy(caller, draft.Action, draft.Resource!, default);

    /// <param name="holder">The key that the alias is taken from; null: it is free.</param>
    private void RequireHolder(Caller caller, AuditRecord draft, Key? holder)
    {
        if (holder is not null)
            decisions.RequirePolicy(caller, draft.Action, draft.Resource!, new AccessFacts { Key = holder });
    }
}
