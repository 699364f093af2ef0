using System.Security.Cryptography;
using SignSvc.Embedded;
using SignSvc.Signing;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using SignSvc.Storage.Postgres;
using SignSvc.Storage.Sqlite;

namespace SignSvc.Operations;

/// <summary>
/// <c>SignSvc restore FILE</c>: fills an empty data folder, or an empty PostgreSQL, from a backup, and proves what it has
/// before it counts: until every seal, the whole audit and a signature of every key have been checked, the database has
/// another name. A backup of either store goes into either: this is also the way from one node to several.
/// <c>SignSvc restore --check FILE</c> only reads the file from its begin to its end.
/// </summary>
public sealed class RestoreCommand
{
    private readonly Settings _settings;
    private readonly string _file;
    private readonly bool _isCheck;

    private RestoreCommand(Settings settings, string file, bool isCheck)
    {
        _settings = settings;
        _file = file;
        _isCheck = isCheck;
    }

    /// <returns>Null where the process shall serve.</returns>
    /// <exception cref="StartException"><c>restore</c> without a file that exists.</exception>
    public static RestoreCommand? Parse(string[] args, Settings settings)
    {
        if (args is not ["restore", ..])
            return null;
        var isCheck = args is [_, "--check", ..];
        if (args.Length != (isCheck ? 3 : 2))
            throw new StartException("restore takes one backup: SIGNSVC_DATA=/new/folder dotnet SignSvc.dll restore [--check] FILE");
        return File.Exists(args[^1])
            ? new RestoreCommand(settings, args[^1], isCheck)
            : throw new StartException($"There is no file {args[^1]}{(Directory.Exists(args[^1]) ? ", but a folder" : "")}: restore takes a backup that POST /v1/backup or 'signsvc backup' made.");
    }

    /// <exception cref="StartException">The message says why and what to do.</exception>
    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        // A check reads the root key alone, also beside a service that runs.
        using var folder = _isCheck ? DataFolder.Look(_settings.Data) : DataFolder.Open(_settings.Data);
        using var root = OpenRootKey(folder);
        try
        {
            await using var source = new FileStream(_file, FileMode.Open, FileAccess.Read, FileShare.Read, 128 * 1024, FileOptions.SequentialScan);
            using var backup = await BackupReader.OpenAsync(source, Node.BackupKeyOf(root), cancellationToken);
            if (_isCheck)
            {
                await CheckAsync(backup, cancellationToken);
                return 0;
            }

            await RestoreAsync(folder, root, backup, cancellationToken);
            return 0;
        }
        catch (Exception e) when (e is SigningException or IOException or UnauthorizedAccessException)
        {
            throw new StartException($"{e.Message}\nThe file is {_file}.", e);
        }
    }

    private RootKey OpenRootKey(DataFolder folder)
    {
        if (!_isCheck && _settings.Store.Postgres is null && File.Exists(folder.Database))
        {
            throw new StartException(
                $"The data folder {folder.FolderPath} holds a database already. A backup is restored into an empty folder: SIGNSVC_DATA=/new/folder.");
        }

        return folder.HasRootKey(_settings.RootKeyFile)
            ? folder.OpenRootKey(_settings.RootKeyFile)
            : throw new StartException(
                $"There is no root key in {folder.FolderPath}. A backup does not hold it: put the file root.key there that the service had when the backup was made (mode 0600).");
    }

    private static async Task CheckAsync(BackupReader backup, CancellationToken cancellationToken)
    {
        await foreach (var _ in backup.ReadAsync(cancellationToken))
        {
            // Reading is the check.
        }

        Console.WriteLine($"The backup is whole: {Describe(backup.Counts)}.");
    }

    private async Task RestoreAsync(DataFolder folder, RootKey root, BackupReader backup, CancellationToken cancellationToken)
    {
        var unproven = folder.Database + ".restoring";
        Delete(unproven);
        try
        {
            var proof = await FillAndProveAsync(_settings, unproven, root, backup, cancellationToken);
            if (_settings.Store.Postgres is null)
                DurableFile.Move(unproven, folder.Database);
            else
                await FillPostgresAsync(root, cancellationToken);
            Console.WriteLine($"Restored {Describe(backup.Counts)} into {(_settings.Store.Postgres is null ? folder.FolderPath : "PostgreSQL")}.");
            Console.WriteLine($"Proven: every document's seal, {proof.Records} audit records unbroken, {proof.Signatures} versions of {proof.Keys} keys sign.");
            if (proof.Stopped > 0)
                Console.WriteLine($"Not proven: {proof.Stopped} versions of keys that are disabled or pending deletion are stopped at their backend too.");
            foreach (var chain in proof.Chains)
                Console.WriteLine($"The audit of the node {chain.Node} ends at record {chain.Records}, seal {chain.Seal}.");
        }
        finally
        {
            Delete(unproven);
        }
    }

    /// <summary>What was proven in a file of its own goes into the database in one transaction, and its audit is read back.</summary>
    private async Task FillPostgresAsync(RootKey root, CancellationToken cancellationToken)
    {
        await using var source = new FileStream(_file, FileMode.Open, FileAccess.Read, FileShare.Read, 128 * 1024, FileOptions.SequentialScan);
        using var backup = await BackupReader.OpenAsync(source, Node.BackupKeyOf(root), cancellationToken);
        var options = new PostgresOptions { ConnectionString = _settings.Store.Postgres!, PasswordFile = _settings.Store.PostgresPasswordFile };
        await using var store = await PostgresStore.OpenAsync(options, TimeProvider.System, cancellationToken);
        await store.RestoreAsync(backup.ReadAsync(cancellationToken), cancellationToken);
        await ProveAuditAsync(store, root, cancellationToken);
    }

    private static async Task<IReadOnlyList<AuditCheckResult>> ProveAuditAsync(IStore store, RootKey root, CancellationToken cancellationToken)
    {
        var chains = await new AuditCheck(store, Node.AuditChainOf(root)).RunAsync(cancellationToken);
        return chains.FirstOrDefault(c => c.Fault is not null) is { } broken
            ? throw new SigningException(SigningFault.StoreFailed, $"The audit of the node {broken.Node} is not whole after {broken.Records} records: {broken.Fault}.")
            : chains;
    }

    private static async Task<Proof> FillAndProveAsync(
        Settings settings, string path, RootKey root, BackupReader backup, CancellationToken cancellationToken)
    {
        await using var store = SqliteStore.Open(path);
        await store.RestoreAsync(backup.ReadAsync(cancellationToken), cancellationToken);

        var seal = Node.DocumentSealOf(root);
        var state = await store.ReadStateAsync(afterRevision: 0, cancellationToken);
        foreach (var document in state.Documents)
            seal.Check(document);

        var chains = await ProveAuditAsync(store, root, cancellationToken);
        var backends = ConfiguredBackends.Open(settings.Backends, root, intents: null, TimeProvider.System);
        try
        {
            using var set = new BackendSet(backends);
            var keys = Snapshot.Empty.With(state).Keys.All.ToArray();
            var (signatures, stopped) = await ProveKeysAsync(keys, set, cancellationToken);
            return new Proof(keys.Length, signatures, stopped, chains.Sum(c => c.Records), chains);
        }
        finally
        {
            foreach (var backend in backends.OfType<IDisposable>())
                backend.Dispose();
        }
    }

    /// <summary>
    /// Every version that signs, or may again, signs a random digest at its backend. That of a key which is disabled or
    /// pending deletion may be stopped there as well: then the backend knows it, and that is all there is to prove.
    /// </summary>
    /// <exception cref="SigningException">Keys that sign here and not there, by name.</exception>
    private static async Task<(int Signatures, int Stopped)> ProveKeysAsync(IEnumerable<Key> keys, BackendSet backends, CancellationToken cancellationToken)
    {
        var (signatures, stopped) = (0, 0);
        var unusable = new List<string>();
        foreach (var key in keys)
        {
            foreach (var version in key.Versions.Where(v => v is { IsPublished: true, Handle: not null }))
            {
                var algorithm = key.Algorithms[0];
                var digest = RandomNumberGenerator.GetBytes(algorithm.DigestLength);
                BackendSignature signature;
                try
                {
                    signature = await backends.For(key).SignAsync(version, algorithm, digest, cancellationToken);
                }
                catch (SigningException e) when (e.Fault == SigningFault.KeyNotUsable && key.State != KeyState.Enabled)
                {
                    stopped++;
                    continue;
                }
                catch (SigningException e) when (e.Fault == SigningFault.KeyNotUsable)
                {
                    unusable.Add($"{key.Name}, version {version.Number}: {e.Message}");
                    continue;
                }
                catch (SigningException e)
                {
                    throw new SigningException(e.Fault, $"{key.Name}, version {version.Number}: {e.Message}", e);
                }

                if (!version.PublicKey.Verify(algorithm, digest, signature.Value))
                    throw new SigningException(SigningFault.BackendFailed, $"Version {version.Number} of {key.Name} does not sign as it did.");
                signatures++;
            }
        }

        return unusable.Count == 0
            ? (signatures, stopped)
            : throw new SigningException(
                SigningFault.KeyNotUsable,
                $"Keys that are enabled in the backup cannot be used at their backend:\n{string.Join('\n', unusable)}\n"
                + "Enable them there, or cancel their deletion there, and restore again; those that shall not sign are disabled here afterwards.");
    }

    private static string Describe(BackupCounts counts) =>
        $"{counts.Documents} documents, {counts.Records} audit records in {counts.Segments} segments of {counts.Chains} nodes, the usage of {counts.UsedVersions} versions, {counts.UsedOnce} things used once";

    private static void Delete(string database)
    {
        foreach (var suffix in (ReadOnlySpan<string>)["", "-wal", "-shm", "-journal"])
            File.Delete(database + suffix);
    }

    private sealed record Proof(int Keys, int Signatures, int Stopped, long Records, IReadOnlyList<AuditCheckResult> Chains);
}
