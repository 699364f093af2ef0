using SignSvc.Signing;
using SignSvc.Storage.Postgres;

namespace SignSvc.Storage.Tests;

/// <summary>What happens between a connection string and an open store.</summary>
public sealed class PostgresOpeningTests(SharedPostgres postgres)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Nodes_that_start_at_once_on_an_empty_database_make_the_schema_once()
    {
        var database = await postgres.Cluster.CreateDatabaseAsync(Cancel);
        var stores = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(() => postgres.Cluster.OpenAsync(database), Cancel)));
        await new ChainWriter("a").CommitAsync(stores[5], Documents.Change("k1", 1));
        Assert.Equal(1, (await stores[0].ReadStateAsync(0, Cancel)).Revision);
        Assert.Equal("1", await postgres.Cluster.ExecuteAsync(database, "SELECT count(*) FROM signsvc.schema_version", Cancel));
        foreach (var store in stores)
            await store.DisposeAsync();
    }

    [Fact]
    public async Task A_newer_schema_is_refused_and_left_alone()
    {
        var database = await OpenOnceAsync();
        await postgres.Cluster.ExecuteAsync(database, "UPDATE signsvc.schema_version SET version = 99", Cancel);
        var thrown = await Assert.ThrowsAsync<SigningException>(() => postgres.Cluster.OpenAsync(database));
        Assert.Equal(SigningFault.StoreFailed, thrown.Fault);
        Assert.Contains("schema version 99", thrown.Message, StringComparison.Ordinal);
        Assert.Equal("99", await postgres.Cluster.ExecuteAsync(database, "SELECT version FROM signsvc.schema_version", Cancel));
    }

    [Theory]
    [InlineData("Password=wrong-pass", "refused the login")]
    [InlineData("Username=nobody", "refused the login")]
    [InlineData("Database=nowhere", "no such database")]
    [InlineData("Port=1", "connection to the database was lost, or there is none")]
    [InlineData("SSL Mode=VerifyFull", "connection to the database was lost, or there is none")]
    public async Task What_keeps_a_start_from_the_database_is_said_and_the_password_is_not(string setting, string expected)
    {
        var thrown = await Assert.ThrowsAsync<SigningException>(
            () => PostgresOpening.OpenAsync($"{postgres.Cluster.ConnectionString("postgres")};{setting}"));
        Assert.Equal(SigningFault.StoreUnavailable, thrown.Fault);
        Assert.Contains(expected, thrown.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(PostgresCluster.Password, thrown.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("wrong-pass", thrown.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_user_without_the_right_to_make_the_schema_is_told_so_and_may_use_one_that_was_made_for_it()
    {
        var database = await postgres.Cluster.CreateDatabaseAsync(Cancel);
        await postgres.Cluster.ExecuteAsync(database, $"CREATE USER plain_{database} PASSWORD 'plain'", Cancel);
        var connection = $"{postgres.Cluster.ConnectionString(database)};Username=plain_{database};Password=plain";
        var thrown = await Assert.ThrowsAsync<SigningException>(() => PostgresOpening.OpenAsync(connection));
        Assert.Equal(SigningFault.StoreUnavailable, thrown.Fault);
        Assert.Contains("has to own the schema", thrown.Message, StringComparison.Ordinal);

        await postgres.Cluster.ExecuteAsync(database, $"CREATE SCHEMA signsvc AUTHORIZATION plain_{database}", Cancel);
        await using var store = await PostgresOpening.OpenAsync(connection);
        await new ChainWriter("a").CommitAsync(store, Documents.Change("k1", 1));
    }

    [Fact]
    public async Task The_password_is_read_from_its_file_for_every_new_connection()
    {
        var database = await postgres.Cluster.CreateDatabaseAsync(Cancel);
        await postgres.Cluster.ExecuteAsync(database, $"CREATE USER rotating_{database} PASSWORD 'first'; GRANT ALL ON DATABASE {database} TO rotating_{database}", Cancel);
        var folder = Directory.CreateTempSubdirectory("signsvc-password-");
        var file = Path.Combine(folder.FullName, "password");
        var options = new PostgresOptions
        {
            ConnectionString = $"Host=127.0.0.1;Port={postgres.Cluster.Port};Database={database};Username=rotating_{database}",
            PasswordFile = file,
            ConnectTimeout = TimeSpan.FromSeconds(15),
            CommandTimeout = TimeSpan.FromSeconds(20),
        };
        var thrown = await Assert.ThrowsAsync<SigningException>(() => PostgresStore.OpenAsync(options, TimeProvider.System, Cancel));
        Assert.Equal("The file with the database's password cannot be read.", thrown.Message);

        await File.WriteAllTextAsync(file, "first\n", Cancel);
        await using var store = await PostgresStore.OpenAsync(options, TimeProvider.System, Cancel);
        await postgres.Cluster.ExecuteAsync(
            database,
            $"ALTER USER rotating_{database} PASSWORD 'second'; SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'rotating_{database}'",
            Cancel);
        await Assert.ThrowsAsync<SigningException>(() => store.ReadStateAsync(0, Cancel));
        await File.WriteAllTextAsync(file, "second", Cancel);
        await store.ReadStateAsync(0, Cancel);
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task A_session_waits_for_its_flush_and_within_bounds_whatever_the_database_says()
    {
        var database = await OpenOnceAsync();
        await postgres.Cluster.ExecuteAsync(
            database,
            $"""
             ALTER DATABASE {database} SET synchronous_commit = off;
             CREATE TABLE signsvc.noted AS SELECT ''::text AS name, ''::text AS setting LIMIT 0;
             CREATE FUNCTION signsvc.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO signsvc.noted
                 SELECT s.name, current_setting(s.name) FROM unnest(ARRAY[''synchronous_commit'', ''statement_timeout'', ''lock_timeout'', ''idle_in_transaction_session_timeout'']) s(name);
                 RETURN NEW; END';
             CREATE TRIGGER note AFTER INSERT ON signsvc.audit_segments FOR EACH ROW EXECUTE FUNCTION signsvc.note()
             """,
            Cancel);
        Assert.Equal("off", await postgres.Cluster.ExecuteAsync(database, "SHOW synchronous_commit", Cancel));
        await using var store = await postgres.Cluster.OpenAsync(database, commandTimeoutSeconds: 20);
        var chain = new ChainWriter("a");
        await chain.CommitAsync(store);
        await chain.CommitAsync(store);
        Assert.Equal(
            "idle_in_transaction_session_timeout|20s|2\nlock_timeout|10s|2\nstatement_timeout|20s|2\nsynchronous_commit|on|2",
            await postgres.Cluster.ExecuteAsync(database, "SELECT name, setting, count(*) FROM signsvc.noted GROUP BY 1, 2 ORDER BY 1", Cancel));
    }

    private async Task<string> OpenOnceAsync()
    {
        var database = await postgres.Cluster.CreateDatabaseAsync(Cancel);
        await using var store = await postgres.Cluster.OpenAsync(database);
        return database;
    }
}
