namespace SignSvc.Signing.Storage;

/// <summary>
/// Ability of a store: it remembers that something was used, for every node and over restarts. When
/// <see cref="TryUseAsync"/> returns true, it is durable, and no other call of any node ever returned or will return
/// true for the same scope and id until it is forgotten.
/// </summary>
/// <remarks>Faults are those of <see cref="IStore"/>. A call that failed may have used the id: its bearer takes a new one.</remarks>
public interface IUseOnce
{
    /// <param name="scope">What kind of thing it is: ids of different scopes are different.</param>
    /// <param name="id">At most 255 characters; of what callers choose, a hash.</param>
    /// <param name="until">When it may be forgotten, because it would be refused for its age.</param>
    /// <returns>False: it was used before.</returns>
    Task<bool> TryUseAsync(string scope, string id, DateTimeOffset until, CancellationToken cancellationToken);

    Task<bool> WasUsedAsync(string scope, string id, CancellationToken cancellationToken);

    /// <summary>Forgets some of what may be forgotten before <paramref name="before"/>: a bounded piece of work.</summary>
    /// <returns>How many; 0: there is no more.</returns>
    Task<int> ForgetAsync(DateTimeOffset before, CancellationToken cancellationToken);
}
