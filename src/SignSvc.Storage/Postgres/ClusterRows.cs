using Npgsql;
using SignSvc.Signing.Storage;

namespace SignSvc.Storage.Postgres;

/// <summary>
/// Heartbeats and leases. Time is the database's alone, and <c>clock_timestamp()</c>, because <c>now()</c> stands still
/// while a statement waits for a row.
/// </summary>
internal static class ClusterRows
{
    public static async Task<bool> HeartbeatAsync(NpgsqlConnection connection, NodeStatus status, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            INSERT INTO nodes (node, revision, heard_at) VALUES ($1, $2, clock_timestamp())
            ON CONFLICT (node) DO UPDATE SET revision = excluded.revision, heard_at = clock_timestamp()
            """,
            connection);
        command.Parameters.Bind(status.Node);
        command.Parameters.Bind(status.Revision);
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    public static async Task<IReadOnlyList<NodeStatus>> ReadNodesAsync(
        NpgsqlConnection connection, TimeSpan since, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT node, revision FROM nodes WHERE heard_at > clock_timestamp() - $1 ORDER BY node", connection);
        command.Parameters.Bind(since);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var nodes = new List<NodeStatus>();
        while (await reader.ReadAsync(cancellationToken))
            nodes.Add(new NodeStatus(reader.GetString(0), reader.GetInt64(1)));
        return nodes;
    }

    public static async Task<long?> TryLeaseAsync(
        NpgsqlConnection connection, string name, string holder, TimeSpan length, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            INSERT INTO leases AS held (name, holder, fence, until) VALUES ($1, $2, 1, clock_timestamp() + $3)
            ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = clock_timestamp() + $3,
                fence = held.fence + CASE WHEN held.holder = excluded.holder THEN 0 ELSE 1 END
            WHERE held.holder = excluded.holder OR held.until <= clock_timestamp()
            RETURNING fence
            """,
            connection);
        command.Parameters.Bind(name);
        command.Parameters.Bind(holder);
        command.Parameters.Bind(length);
        return await command.ExecuteScalarAsync(cancellationToken) as long?;
    }

    /// <summary>Nodes are named by their pods and never come back; without this their rows would stay for ever.</summary>
    public static async Task ForgetAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "DELETE FROM nodes WHERE heard_at < clock_timestamp() - interval '7 days'", connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
