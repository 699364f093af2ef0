using Microsoft.Data.Sqlite;
using SignSvc.Signing;
using SignSvc.Signing.Storage;

namespace SignSvc.Storage.Sqlite;

/// <summary>What was used once, each in a flushed transaction of its own on the writing connection.</summary>
public sealed partial class SqliteStore : IUseOnce
{
    /// <summary>Rows of one clean-up: the audit waits for no longer than that takes.</summary>
    private const int ForgottenAtOnce = 1000;

    private static readonly TimeSpan UsualPatience = TimeSpan.FromSeconds(1.5);

    /// <summary>Guards the writing connection and its statements.</summary>
    private readonly Lock _writingGate = new();

    /// <summary>One at a time waits for the gate, with a thread; the others wait here, without one.</summary>
    private readonly SemaphoreSlim _turn = new(1, 1);

    public Task<bool> TryUseAsync(string scope, string id, DateTimeOffset until, CancellationToken cancellationToken) =>
        WriteAsync(() => _statements.Use(scope, id, until), cancellationToken);

    public Task<bool> WasUsedAsync(string scope, string id, CancellationToken cancellationToken) => Read(connection =>
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT EXISTS (SELECT 1 FROM used_once WHERE scope = $scope AND id = $id)";
        command.Parameters.AddWithValue("$scope", scope);
        command.Parameters.AddWithValue("$id", id);
        return command.ExecuteScalar() is 1L;
    });

    public Task<int> ForgetAsync(DateTimeOffset before, CancellationToken cancellationToken) =>
        WriteAsync(() => _statements.Forget(before, ForgottenAtOnce), cancellationToken);

    /// <summary>SQLite is synchronous and the disk may hang: the caller waits elsewhere, and not for ever.</summary>
    private async Task<T> WriteAsync<T>(Func<T> write, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(_patience);
        try
        {
            await _turn.WaitAsync(patience.Token);
            return await Task.Run(() => WriteInTurn(write), CancellationToken.None).WaitAsync(patience.Token);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new SigningException(SigningFault.StoreUnavailable, "The database did not answer in time.", e);
        }
    }

    private T WriteInTurn<T>(Func<T> write)
    {
        try
        {
            return Write(write);
        }
        finally
        {
            _turn.Release();
        }
    }

    private T Write<T>(Func<T> write)
    {
        try
        {
            lock (_writingGate)
            {
                ThrowIfFailed();
                return _statements.InTransaction(write);
            }
        }
        catch (SqliteException e)
        {
            var failure = SqliteFaults.Of(e);
            // Promise 6 is kept by whoever comes next on this connection, the audit first of all.
            if (failure.Fault == SigningFault.StoreFailed)
                _failure = failure;
            throw failure;
        }
    }

    private void ThrowIfFailed()
    {
        if (_failure is { } failure)
            throw new SigningException(failure.Fault, failure.Message, failure);
    }
}
