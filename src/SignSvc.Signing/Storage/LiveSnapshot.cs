using System.Text.Json;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing.Storage;

/// <summary>
/// The snapshot that this node serves now, and the one way to change what stands in it: a change is sealed, committed
/// together with its audit record, read back and swapped in before the caller hears of it.
/// </summary>
public sealed class LiveSnapshot : IDisposable
{
    private readonly IStore _store;
    private readonly AuditLog _audit;
    private readonly DocumentSeal _seal;
    private readonly SemaphoreSlim _refreshing = new(1, 1);
    private Snapshot _current;

    private LiveSnapshot(IStore store, AuditLog audit, DocumentSeal seal, Snapshot current)
    {
        _store = store;
        _audit = audit;
        _seal = seal;
        _current = current;
    }

    public Snapshot Current => Volatile.Read(ref _current);

    /// <exception cref="SigningException"><see cref="SigningFault.StoreFailed"/>: a document is damaged, edited, or of another root key.</exception>
    public static async Task<LiveSnapshot> OpenAsync(
        IStore store, AuditLog audit, DocumentSeal seal, CancellationToken cancellationToken)
    {
        var live = new LiveSnapshot(store, audit, seal, Snapshot.Empty);
        await live.RefreshAsync(cancellationToken);
        return live;
    }

    public async Task RefreshAsync(CancellationToken cancellationToken)
    {
        await _refreshing.WaitAsync(cancellationToken);
        try
        {
            var changes = await _store.ReadStateAsync(_current.Revision, cancellationToken);
            foreach (var document in changes.Documents)
                _seal.Check(document);
            Volatile.Write(ref _current, _current.With(changes));
        }
        finally
        {
            _refreshing.Release();
        }
    }

    /// <summary>Returns when the change and its record are durable and this node serves the change.</summary>
    /// <param name="permit">Proof that somebody decided; the record says what.</param>
    /// <returns>The audit id.</returns>
    /// <exception cref="SigningException">As <see cref="AuditLog.ChangeAsync"/>.</exception>
    public async Task<string> ChangeAsync(
        Permit permit, AuditRecord record, CancellationToken cancellationToken, params IReadOnlyList<Change> changes)
    {
        if (!string.Equals(permit.Action, record.Action, StringComparison.Ordinal))
            throw new ArgumentException("The record is of another action than was permitted.", nameof(record));
        if (permit.Approval is { } approval)
        {
            changes = [.. changes, ApprovalGate.Use(approval, Current, record.At)];
            record = record with { Detail = record.Detail is null ? permit.ApprovalRemark : $"{record.Detail}; {permit.ApprovalRemark}" };
        }

        var sealedChanges = changes.Select(c =>
            new DocumentChange(_seal.Seal(c.Kind, c.Id, c.Version, c.Body), [.. c.Names])).ToArray();
        // It is durable when it is served: what the caller does meanwhile must not keep this node from serving it.
        var (auditId, _) = await _audit.ChangeAsync(
            record with { BackendRequestId = record.BackendRequestId ?? CallTrail.Current }, sealedChanges, () => RefreshAsync(CancellationToken.None), cancellationToken);
        return auditId;
    }

    public void Dispose() => _refreshing.Dispose();
}

/// <summary>One document as it shall be from now on.</summary>
/// <param name="Version">One more than in the snapshot that the change was made from: if the document has moved on since, the commit is refused.</param>
/// <param name="Names">All names it holds, with their scope.</param>
public sealed record Change(string Kind, string Id, int Version, ReadOnlyMemory<byte> Body, params IReadOnlyList<string> Names)
{
    public static Change Of(Key key, Snapshot basis) => new(
        DocumentKind.Key, key.Id, basis.DocumentVersion(DocumentKind.Key, key.Id) + 1,
        JsonSerializer.SerializeToUtf8Bytes(key, SigningJson.Default.Key),
        [
            .. key.State == KeyState.Deleted ? [] : key.Aliases.Add(key.Name).Select(n => $"key:{n}"),
            // Held for ever: what was brought from outside once, or adopted, does not come back under another key, on no node.
            .. key.Versions.Where(v => v.Origin is KeyOrigin.Imported or KeyOrigin.Adopted).Select(v => $"kid:{v.Kid}"),
        ]);

    public static Change Of(TokenProfile profile, Snapshot basis) => new(
        DocumentKind.Profile, profile.Name, basis.DocumentVersion(DocumentKind.Profile, profile.Name) + 1,
        JsonSerializer.SerializeToUtf8Bytes(profile, SigningJson.Default.TokenProfile), $"profile:{profile.Name}");

    public static Change Remove(TokenProfile profile, Snapshot basis) => new(
        DocumentKind.Profile, profile.Name, basis.DocumentVersion(DocumentKind.Profile, profile.Name) + 1, ReadOnlyMemory<byte>.Empty);

    public static Change Of(Credential credential, Snapshot basis) => new(
        DocumentKind.Credential, credential.Id, basis.DocumentVersion(DocumentKind.Credential, credential.Id) + 1,
        JsonSerializer.SerializeToUtf8Bytes(credential, SigningJson.Default.Credential), $"credential:{credential.Name}");
}
