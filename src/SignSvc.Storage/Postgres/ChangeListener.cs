using System.Globalization;
using Npgsql;

namespace SignSvc.Storage.Postgres;

/// <summary>Listens for commits with changes on a connection of its own, and opens another when it is lost, without end.</summary>
internal sealed class ChangeListener(PostgresConnections connections, TimeProvider time) : IAsyncDisposable
{
    /// <summary>How long a silent connection is believed; then it has to answer a question.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    private NpgsqlConnection? _connection;
    private long? _heard;

    /// <summary>The latest revision heard of. A new connection begins with the revision it finds, for what was missed.</summary>
    public async Task<long> NextAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                if (_connection is null)
                    return await ListenAsync(cancellationToken);
                if (_heard is not { } revision)
                {
                    if (!await _connection.WaitAsync(Silence, cancellationToken))
                        await ReadRevisionAsync(_connection, cancellationToken);
                    continue;
                }

                _heard = null;
                return revision;
            }
            catch (Exception e) when (PostgresFaults.Of(e) is not null)
            {
                await DisposeAsync();
                await Task.Delay(Pause, time, cancellationToken);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_connection is not null)
            await _connection.DisposeAsync();
        _connection = null;
    }

    private async Task<long> ListenAsync(CancellationToken cancellationToken)
    {
        _connection = await connections.OpenListeningAsync(cancellationToken);
        _connection.Notification += (_, notification) =>
        {
            if (long.TryParse(notification.Payload, NumberStyles.None, CultureInfo.InvariantCulture, out var revision))
                _heard = Math.Max(revision, _heard ?? 0);
        };
        await using (var listen = new NpgsqlCommand($"LISTEN {PostgresCommits.Channel}", _connection))
            await listen.ExecuteNonQueryAsync(cancellationToken);
        // After LISTEN, so that nothing falls between.
        return await ReadRevisionAsync(_connection, cancellationToken);
    }

    private static async Task<long> ReadRevisionAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT value FROM revision", connection);
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }
}
