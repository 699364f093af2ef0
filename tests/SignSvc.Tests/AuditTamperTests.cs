using Microsoft.Data.Sqlite;
using SignSvc.Signing;
using SignSvc.Signing.Access;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Keys;
using SignSvc.Storage.Sqlite;

namespace SignSvc.Tests;

/// <summary>Promise 4, by whoever can write the database but does not hold the root key.</summary>
public sealed class AuditTamperTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_edited_dropped_reordered_or_cut_off_record_is_found()
    {
        await using var database = await DatabaseNode.OpenAsync();
        var node = database.Node;
        await node.Keys.CreateAsync(
            Caller.Service, NewKey.Parse("release", KeyPurpose.Artifacts, null, null, "ECC_NIST_P256", null), Cancellation);
        for (var i = 0; i < 30; i++)
        {
            var requests = Enumerable.Range(0, 1 + (i % 3)).Select(j => new SignRequest { Key = "release", Payload = Payload.Digest(Expectations.Digest($"{i}.{j}")) }).ToArray();
            await node.Signer.SignBatchAsync(Caller.Service, requests, Cancellation);
        }

        Assert.Null(await FaultAsync(database.Database, database.Chain));
        var random = new Random(4);
        var (made, found) = (0, 0);
        for (var row = 1; row <= 31; row++)
        {
            foreach (var edit in Edits(row, random))
            {
                var copy = database.Database + ".copy";
                await CopyAsync(database.Database, copy);
                if (await ExecuteAsync(copy, edit) == 0)
                    continue;
                made++;
                if (await FaultAsync(copy, database.Chain) is not null)
                    found++;
                else
                    Assert.Fail($"Not found: {edit}");
                File.Delete(copy);
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{found} of {made} edits found");
        Assert.InRange(made, 300, int.MaxValue);
    }

    private static IEnumerable<string> Edits(int row, Random random)
    {
        for (var i = 0; i < 4; i++)
        {
            // Through hex, because SQLite's text functions would read bytes as characters.
            var at = 1 + random.Next(200);
            yield return $"UPDATE audit_segments SET body = CAST(substr(body, 1, {at - 1}) || X'2A' || substr(body, {at + 1}) AS BLOB) "
                + $"WHERE id = {row} AND substr(body, {at}, 1) <> X'2A' AND length(body) >= {at}";
        }

        yield return $"UPDATE audit_segments SET body = CAST(replace(CAST(body AS TEXT), 'service', 'nobody') AS BLOB) WHERE id = {row}";
        yield return $"UPDATE audit_segments SET body = CAST(body || body AS BLOB) WHERE id = {row}";
        yield return $"UPDATE audit_segments SET body = X'' WHERE id = {row}";
        yield return $"UPDATE audit_segments SET seal = zeroblob(32) WHERE id = {row}";
        yield return $"UPDATE audit_segments SET previous = zeroblob(32) WHERE id = {row} AND id > 1";
        yield return $"UPDATE audit_segments SET count = count + 1 WHERE id = {row}";
        yield return $"UPDATE audit_segments SET node = 'other' WHERE id = {row}";
        yield return $"DELETE FROM audit_segments WHERE id = {row}";
        yield return $"DELETE FROM audit_segments WHERE id >= {row}";
        yield return $"DELETE FROM audit_segments WHERE id <= {row}";
        yield return $"UPDATE audit_segments SET first_sequence = first_sequence + 100000 WHERE id = {row}";
        yield return $"UPDATE audit_segments SET body = (SELECT body FROM audit_segments o WHERE o.id = {row} + 3) WHERE id = {row} AND {row} <= 28";
        yield return $"UPDATE audit_segments SET body = (SELECT body FROM audit_segments o WHERE o.id = CASE audit_segments.id WHEN {row} THEN {row} + 1 ELSE {row} END) "
            + $"WHERE id IN ({row}, {row} + 1) AND {row} <= 30";
        yield return $"UPDATE audit_heads SET last_sequence = last_sequence - {row}";
        yield return $"UPDATE audit_heads SET seal = (SELECT seal FROM audit_segments WHERE id = {row}) WHERE {row} < 31";
    }

    private static async Task<string?> FaultAsync(string database, AuditChain chain)
    {
        await using var store = SqliteStore.Open(database);
        var results = await new AuditCheck(store, chain).RunAsync(Cancellation);
        return results.Count == 0 ? "no chain" : results.FirstOrDefault(r => r.Fault is not null)?.Fault;
    }

    private static async Task CopyAsync(string from, string to)
    {
        File.Delete(to);
        await ExecuteAsync(from, $"VACUUM INTO '{to}'");
    }

    private static async Task<int> ExecuteAsync(string database, string sql)
    {
        await using var connection = new SqliteConnection($"Data Source={database};Pooling=False");
        await connection.OpenAsync(Cancellation);
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        return await command.ExecuteNonQueryAsync(Cancellation);
    }
}
