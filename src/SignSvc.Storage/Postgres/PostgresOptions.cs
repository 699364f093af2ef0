using Npgsql;

namespace SignSvc.Storage.Postgres;

/// <summary>How to reach the database. A class, not a record: nothing prints what may hold a password.</summary>
public sealed class PostgresOptions
{
    /// <summary>
    /// In Npgsql's notation; several hosts make SignSvc look for the one that accepts writes. TLS is asked for here:
    /// <c>Host=db1,db2;Database=signsvc;Username=signsvc;SSL Mode=VerifyFull;Root Certificate=/etc/ssl/db.pem</c>.
    /// A password may stand here, in <see cref="PasswordFile"/>, or in <c>PGPASSWORD</c> or <c>PGPASSFILE</c>.
    /// </summary>
    public required string ConnectionString { get; init; }

    /// <summary>A file that holds the password alone. It is read for every new connection, so that a changed password needs no restart.</summary>
    public string? PasswordFile { get; init; }

    /// <summary>Whole seconds for a connection, or for a place in the pool. Longer delays the recovery after a partition.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>Whole seconds for one statement other than a search. Longer hides a hanging server; shorter refuses what a slow disk could have kept.</summary>
    public TimeSpan CommandTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Whole seconds for one page of an audit search.</summary>
    public TimeSpan SearchTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Connections of this node for commits, snapshots, leases and heartbeats.</summary>
    public int MaxConnections { get; init; } = 8;

    /// <summary>Connections of this node for audit searches, beside the others, so that searches cannot keep a commit waiting.</summary>
    public int MaxSearchConnections { get; init; } = 4;

    /// <returns>What is wrong with a connection string, without a word of it; null where it can be read.</returns>
    public static string? FaultOf(string connectionString)
    {
        try
        {
            return new NpgsqlConnectionStringBuilder(connectionString).Host is { Length: > 0 } ? null : "it names no Host.";
        }
        catch (Exception e) when (e is ArgumentException or FormatException or OverflowException)
        {
            return "it is not in Npgsql's notation, Host=db;Database=signsvc;Username=signsvc: a keyword is not known, or a value is not what it has to be.";
        }
    }

    /// <summary>Where the database is, for the operator's eyes: without user and password.</summary>
    public static string PlaceOf(string connectionString)
    {
        var settings = new NpgsqlConnectionStringBuilder(connectionString);
        return $"{settings.Database ?? settings.Username} at {settings.Host}, port {settings.Port}";
    }

    /// <exception cref="ArgumentException">A setting cannot be; the message names it and never holds the connection string.</exception>
    internal void Validate()
    {
        foreach (var (name, timeout) in (ReadOnlySpan<(string, TimeSpan)>)[
            (nameof(ConnectTimeout), ConnectTimeout), (nameof(CommandTimeout), CommandTimeout), (nameof(SearchTimeout), SearchTimeout)])
        {
            if (timeout < TimeSpan.FromSeconds(1) || timeout > TimeSpan.FromMinutes(10) || timeout.Ticks % TimeSpan.TicksPerSecond != 0)
                throw new ArgumentException($"{name} must be whole seconds, from 1 to 600.", name);
        }

        foreach (var (name, count) in (ReadOnlySpan<(string, int)>)[
            (nameof(MaxConnections), MaxConnections), (nameof(MaxSearchConnections), MaxSearchConnections)])
        {
            if (count is < 2 or > 1000)
                throw new ArgumentException($"{name} must be 2 to 1000.", name);
        }
    }
}
