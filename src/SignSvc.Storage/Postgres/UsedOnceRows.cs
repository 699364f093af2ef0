using Npgsql;

namespace SignSvc.Storage.Postgres;

/// <summary>What was used once. Two nodes that use the same meet at the primary key: the second waits for the first one's commit and inserts nothing.</summary>
internal static class UsedOnceRows
{
    /// <summary>Rows of one clean-up: a short transaction, however much is due.</summary>
    private const int ForgottenAtOnce = 1000;

    /// <summary>Not to be cancelled: a commit that was given up on may have happened.</summary>
    public static async Task<bool> TryUseAsync(NpgsqlConnection connection, string scope, string id, DateTimeOffset until)
    {
        await using var command = new NpgsqlCommand(
            "INSERT INTO used_once (scope, id, until) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", connection);
        command.Parameters.Bind(scope);
        command.Parameters.Bind(id);
        command.Parameters.Bind(until.UtcTicks);
        return await command.ExecuteNonQueryAsync(CancellationToken.None) == 1;
    }

    public static async Task<bool> WasUsedAsync(NpgsqlConnection connection, string scope, string id, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT EXISTS (SELECT FROM used_once WHERE scope = $1 AND id = $2)", connection);
        command.Parameters.Bind(scope);
        command.Parameters.Bind(id);
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }

    public static async Task<int> ForgetAsync(NpgsqlConnection connection, DateTimeOffset before, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            """
            DELETE FROM used_once WHERE (scope, id) IN (
                SELECT scope, id FROM used_once WHERE until < $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED)
            """,
            connection);
        command.Parameters.Bind(before.UtcTicks);
        command.Parameters.Bind(ForgottenAtOnce);
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
