using System.Text;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using SignSvc.Storage.Postgres;
using SignSvc.Storage.Spool;
using SignSvc.Storage.Sqlite;

namespace SignSvc.Embedded;

/// <summary>The store that the settings ask for, and what it means for this node: alone, or one of several.</summary>
/// <param name="Node">This node's name in its audit chain.</param>
/// <param name="IsShared">Other nodes may change the state at any time.</param>
internal sealed record NodeStore(IStore Store, ICluster Cluster, string Node, bool IsShared)
{
    /// <summary>Of a larger database only the end of the audit is read at the start; <c>GET /v1/audit/check</c> reads the rest.</summary>
    private const long CheckWholeUpToBytes = 64 * 1024 * 1024;

    public static async Task<NodeStore> OpenAsync(
        Settings settings, DataFolder folder, TimeProvider time, CancellationToken cancellationToken)
    {
        if (settings.Store.Postgres is { } connection)
        {
            var options = new PostgresOptions { ConnectionString = connection, PasswordFile = settings.Store.PostgresPasswordFile };
            var postgres = await PostgresStore.OpenAsync(options, time, cancellationToken);
            IStore store = settings.Store.Spool
                ? new SpoolingStore(postgres, AuditSpool.Open(folder.Spool), TimeSpan.FromSeconds(settings.Store.StaleAfterSeconds), time)
                : postgres;
            return new NodeStore(store, postgres, settings.Node ?? NameOf(Environment.MachineName), IsShared: true);
        }

        // The credential is written only when the database stands.
        var sqlite = SqliteStore.Open(
            folder.Database, mustExist: File.Exists(folder.BootstrapCredential),
            TimeSpan.FromMilliseconds(settings.Audit.CommitTimeoutMilliseconds));
        return new NodeStore(sqlite, new SingleNode(time), settings.Node ?? "local", IsShared: false);
    }

    /// <summary>Promise 3: a damaged audit is reported, never silently gone on with.</summary>
    /// <exception cref="StartException">What is missing or changed.</exception>
    public async Task RefuseBrokenAuditAsync(AuditChain chain, DocumentSeal seal, DataFolder folder, CancellationToken cancellationToken)
    {
        var check = new AuditCheck(Store, chain);
        var isSmall = !IsShared && new FileInfo(folder.Database).Length <= CheckWholeUpToBytes;
        var results = isSmall ? await check.RunAsync(cancellationToken) : await check.RunAtEndAsync(cancellationToken);
        if (results.FirstOrDefault(r => r.Fault is not null) is { } broken)
        {
            var stored = (await Store.ReadStateAsync(afterRevision: 0, cancellationToken)).Documents;
            if (stored.Count > 0 && !stored.Any(seal.Fits))
            {
                throw new StartException(
                    "The root key is not the one that everything here was written with: neither the audit nor one of the "
                    + $"{stored.Count} stored documents has a seal of it. Nothing is damaged by that. Put the right root key in place (root.key, or the setting RootKeyFile).");
            }

            throw new StartException(
                $"The audit log is not whole: after {broken.Records} good records of the node {broken.Node}, {broken.Fault}.\n"
                + $"SignSvc repairs nothing by itself. Keep a copy of {(IsShared ? "the database" : folder.FolderPath)}, then restore a backup.");
        }
    }

    /// <summary>A machine's name as a node's: lower case, and nothing that a name may not hold.</summary>
    private static string NameOf(string machine)
    {
        var name = new StringBuilder();
        foreach (var c in machine.ToLowerInvariant().Take(KeyName.MaxLength))
            name.Append(char.IsAsciiLetterOrDigit(c) || (name.Length > 0 && c is '.' or '_' or '-') ? c : 'x');
        return KeyName.IsValid(name.ToString()) ? name.ToString() : "node";
    }
}
