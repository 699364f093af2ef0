using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Keys;

/// <summary>
/// The way that every change of a key takes: authorise, edit the key as it stands now, commit with the record. Where
/// somebody else's change came first, the edit is made again from what stands then.
/// </summary>
public sealed class KeyEdits(LiveSnapshot live, Decisions decisions, AuditLog audit)
{
    /// <summary>Every lost attempt is another caller's success. So many in a row happen only where dozens write one key without pause.</summary>
    private const int Attempts = 64;

    /// <param name="subject">What rules can ask approval of; see <see cref="ApprovalRule.Approvable"/>.</param>
    /// <param name="onlyIf">The <see cref="KeyTag"/> that the key must have; null: any.</param>
    /// <param name="resource">What policies are asked about beside the key; null: the key alone.</param>
    /// <param name="edit">Returns the key as it shall be, or the same instance where nothing has to change. It may run several times.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>, <see cref="SigningFault.Forbidden"/>, what <paramref name="edit"/> throws, or <see cref="SigningFault.Conflict"/> where others were faster every time.</exception>
    public Task<Key> ApplyAsync(
        Caller caller, string action, string reference, string detail, Func<Key, ValueTask<Key>> edit, CancellationToken cancellationToken,
        Func<Key, ApprovalSubject>? subject = null, string? onlyIf = null, string? resource = null) =>
        EditAsync(caller, action, reference, detail, (key, _) => edit(key), along: null, subject, onlyIf, cancellationToken, resource);

    /// <inheritdoc cref="ApplyAsync"/>
    /// <param name="edit">Sees what it is permitted by.</param>
    public Task<Key> ApplyPermittedAsync(
        Caller caller, string action, string reference, string detail, Func<Key, Permit, ValueTask<Key>> edit, CancellationToken cancellationToken,
        Func<Key, ApprovalSubject>? subject = null, string? onlyIf = null) =>
        EditAsync(caller, action, reference, detail, edit, along: null, subject, onlyIf, cancellationToken);

    /// <inheritdoc cref="ApplyAsync"/>
    /// <param name="along">What else is committed with the edited key; null: nothing.</param>
    public Task<Key> ApplyWithAsync(
        Caller caller, string action, string reference, string detail, Func<Key, ValueTask<Key>> edit, AlongWith? along,
        CancellationToken cancellationToken, Func<Key, ApprovalSubject>? subject = null, string? onlyIf = null) =>
        EditAsync(caller, action, reference, detail, (key, _) => edit(key), along, subject, onlyIf, cancellationToken);

    private Task<Key> EditAsync(
        Caller caller, string action, string reference, string detail, Func<Key, Permit, ValueTask<Key>> edit, AlongWith? along,
        Func<Key, ApprovalSubject>? subject, string? onlyIf, CancellationToken cancellationToken, string? resource = null)
    {
        var known = live.Current.Keys.TryGet(reference, out var named);
        var draft = decisions.Draft(caller, action, resource ?? (known ? null : $"key/{reference}")) with
        {
            KeyId = named?.Id,
            KeyName = named?.Name,
            Detail = detail,
        };
        return decisions.ChangeAsync(caller, draft, permit => RepeatAsync(
            async basis =>
            {
                // The key that was decided on: an alias may stand for another one by now.
                if (named is null || !basis.Keys.TryGet(named.Id, out var key) || key.State == KeyState.Deleted)
                    throw decisions.UnknownKey(caller);
                KeyTag.Require(key, onlyIf);
                var edited = await edit(key, permit);
                return new KeyAttempt(edited, async () =>
                {
                    if (ReferenceEquals(edited, key))
                        await audit.AppendAsync(draft with { Detail = $"{detail}: it was so already" }, cancellationToken);
                    else if (along is null)
                        await live.ChangeAsync(permit, draft, cancellationToken, Change.Of(edited, basis));
                    else
                        await live.ChangeAsync(permit, along.Record(draft, edited), cancellationToken, Change.Of(edited, basis), along.Change(basis));
                });
            },
            cancellationToken), subject: () => named is null ? null : subject?.Invoke(named));
    }

    /// <summary>
    /// Attempts on the snapshot as it stands, again and again while somebody else's change is committed first. A conflict that
    /// <paramref name="attempt"/> itself finds is its answer: nothing is gained by asking it again.
    /// </summary>
    internal async ValueTask<Key> RepeatAsync(Func<Snapshot, ValueTask<KeyAttempt>> attempt, CancellationToken cancellationToken)
    {
        for (var i = 1; ; i++)
        {
            var (edited, commitAsync) = await attempt(live.Current);
            try
            {
                await commitAsync();
                return edited;
            }
            catch (SigningException e) when (e.Fault == SigningFault.Conflict && i < Attempts)
            {
                await live.RefreshAsync(cancellationToken);
            }
        }
    }
}

/// <summary>What an attempt came to.</summary>
/// <param name="Edited">The key as it shall be.</param>
/// <param name="CommitAsync">Makes it so, or puts on record that it was; <see cref="SigningFault.Conflict"/> from it means that somebody else was faster.</param>
internal readonly record struct KeyAttempt(Key Edited, Func<Task> CommitAsync);

/// <summary>What is committed together with an edited key.</summary>
/// <param name="Change">Made from the snapshot that the key was edited in.</param>
/// <param name="Record">The record, completed from the key as it shall be.</param>
public sealed record AlongWith(Func<Snapshot, Change> Change, Func<AuditRecord, Key, AuditRecord> Record);
