namespace SignSvc.Signing.Backends;

/// <summary>
/// A key that a remote backend is about to make, or has made and which is not known to be recorded. Its id stands on the
/// key there, so that it is found again.
/// </summary>
/// <param name="Reference">The backend's own name of the key, an ARN; null: it is not known whether it was made.</param>
public sealed record KeyIntent(
    string Id, string Backend, string KeyId, int Version, string Spec, DateTimeOffset BegunAt, string? Reference = null);

/// <summary>
/// Where intents are kept, and what is asked about records. A key costs money for ever once nobody knows it: so its
/// intent is stored before it is made, and ends only when its version is recorded or the key's deletion is scheduled.
/// </summary>
public interface IKeyIntents
{
    /// <summary>Stores or replaces by id; durable when it returns.</summary>
    Task PutAsync(KeyIntent intent, CancellationToken cancellationToken);

    /// <summary>Unknown ids are no fault.</summary>
    Task RemoveAsync(string id, CancellationToken cancellationToken);

    /// <summary>All of a backend, whichever node began them.</summary>
    Task<IReadOnlyList<KeyIntent>> ListAsync(string backend, CancellationToken cancellationToken);

    /// <summary>
    /// Whether a durable version of any key has this reference in its handle, alone or before a <c>#</c>. Asks the
    /// store, not a snapshot that may lag: a wrong no schedules the deletion of a live key.
    /// </summary>
    Task<bool> IsRecordedAsync(KeyIntent intent, string reference, CancellationToken cancellationToken);
}
