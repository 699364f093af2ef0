using SignSvc.Signing.Access;

namespace SignSvc.Signing.Storage;

/// <summary>
/// Takes backups while the service goes on. One at a time: each keeps the store from letting go of what it reads.
/// </summary>
public sealed class Backups(IStore store, BackupKey key, Decisions decisions, TimeProvider time) : IDisposable
{
    /// <summary>A reader that is slower than this is cut off; what it has is refused by a restore.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(30);

    private readonly SemaphoreSlim _turn = new(1, 1);

    /// <param name="destination">Opened when the caller is allowed, the act is on record and it is this backup's turn.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.Forbidden"/>; <see cref="SigningFault.Overloaded"/>: another one runs; <see cref="SigningFault.Unsupported"/>.</exception>
    public async Task<BackupCounts> CreateAsync(Caller caller, Func<Stream> destination, CancellationToken cancellationToken)
    {
        var isItsTurn = false;
        try
        {
            var readable = await decisions.ReadAsync(
                caller,
                decisions.Draft(caller, Actions.BackupCreate, "backup"),
                async _ =>
                {
                    isItsTurn = await _turn.WaitAsync(TimeSpan.Zero, cancellationToken);
                    return isItsTurn
                        ? store as IBackupStore ?? throw new SigningException(SigningFault.Unsupported, "This store is backed up with its own tools.")
                        : throw new SigningException(SigningFault.Overloaded, "A backup is being taken already.") { RetryAfter = TimeSpan.FromSeconds(10) };
                },
                cancellationToken);
            using var timeout = new CancellationTokenSource(Longest, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
            return await BackupWriter.WriteAsync(destination(), key, readable.ReadAllAsync(either.Token), either.Token);
        }
        finally
        {
            if (isItsTurn)
                _turn.Release();
        }
    }

    public void Dispose() => _turn.Dispose();
}
