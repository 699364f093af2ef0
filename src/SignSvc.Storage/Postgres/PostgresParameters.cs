using Npgsql;

namespace SignSvc.Storage.Postgres;

/// <summary>Positional parameters ($1, $2, …) with their types and without boxes.</summary>
internal static class PostgresParameters
{
    public static void Bind<T>(this NpgsqlParameterCollection parameters, T value) =>
        parameters.Add(new NpgsqlParameter<T> { TypedValue = value });

    public static NpgsqlBatchCommand Add(this NpgsqlBatch batch, string sql)
    {
        var command = new NpgsqlBatchCommand(sql);
        batch.BatchCommands.Add(command);
        return command;
    }
}
