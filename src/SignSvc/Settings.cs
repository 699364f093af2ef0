using System.Globalization;
using System.Text;
using SignSvc.Access;
using SignSvc.Backends.AwsKms;
using SignSvc.Backends.Pkcs11;
using SignSvc.Http;
using SignSvc.Operations;
using SignSvc.Signing.Keys;
using SignSvc.Storage.Postgres;
using SignSvc.Telemetry;

namespace SignSvc;

/// <summary>Why the process does not start, in words for the operator: what is wrong and what to do.</summary>
public sealed class StartException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>
/// The section <c>SignSvc</c> of <c>appsettings.json</c>, or <c>SignSvc__…</c> variables. A setting that is not named
/// here stops the start: a misspelt one would otherwise quietly be its default.
/// </summary>
public sealed record Settings
{
    /// <summary>The data folder. Set by <c>SIGNSVC_DATA</c>. Two services on one folder are refused.</summary>
    public string Data { get; set; } = "data";

    /// <summary>Where verifiers reach this service; it is the issuer of tokens. If it is wrong, tokens are refused everywhere. Default: the first address served.</summary>
    public string? PublicUrl { get; set; }

    /// <summary>Refuses assured keys that live in software, new ones and those that exist.</summary>
    public bool RequireHardware { get; set; }

    /// <summary>The file with the root key, base64 of 32 bytes; default: <c>root.key</c> in the data folder. Without it nothing that was stored opens.</summary>
    public string? RootKeyFile { get; set; }

    /// <summary>Prints the first administrator's token to standard output when it is made. Turn it off where standard output is collected.</summary>
    public bool PrintBootstrapCredential { get; set; } = true;

    /// <summary>A file of public keys that must not be imported, the SHA-256 of each SubjectPublicKeyInfo in hex on a line of its own; added to those that are built in. Read at the start.</summary>
    public string? KnownBadKeysFile { get; set; }

    /// <summary>Lets this user's debuggers attach, and the kernel write core files: both hold private keys. For looking into a fault, and no longer.</summary>
    public bool AllowProcessDumps { get; set; }

    /// <summary>This node's name in the audit and among the nodes; default: the machine's name. Two live nodes of one name refuse each other.</summary>
    public string? Node { get; set; }

    public StoreSettings Store { get; set; } = new();

    public BackendSettings Backends { get; set; } = new();

    public AuditSettings Audit { get; set; } = new();

    public LimitSettings Limits { get; set; } = new();

    public GrpcSettings Grpc { get; set; } = new();

    public KubernetesSettings Kubernetes { get; set; } = new();

    public AccessSettings Access { get; set; } = new();

    public TelemetrySettings Telemetry { get; set; } = new();

    public UsageSettings Usage { get; set; } = new();

    public ShutdownSettings Shutdown { get; set; } = new();

    /// <summary>Where state and audit are kept. All nodes on one PostgreSQL need the same root key.</summary>
    public sealed class StoreSettings
    {
        /// <summary>In Npgsql's notation; null: SQLite in the data folder, for one node. Keep the password out of it: PostgresPasswordFile.</summary>
        public string? Postgres { get; set; }

        /// <summary>A file that holds the database password alone; read at every new connection.</summary>
        public string? PostgresPasswordFile { get; set; }

        /// <summary>How long a node that cannot reach the store goes on signing with assured keys. Longer, and a revocation may be missed for as long.</summary>
        public int StaleAfterSeconds { get; set; } = 60;

        /// <summary>With PostgreSQL: a node that cannot reach it keeps its audit records in <c>spool.db</c> in its data folder for up to StaleAfterSeconds and hands them over when it can. Put that folder on a disk that outlives the process, or turn it off: then such a node signs nothing.</summary>
        public bool Spool { get; set; } = true;
    }

    /// <summary>Backends beside <c>software</c>; null: not used.</summary>
    public sealed class BackendSettings
    {
        public Pkcs11Options? Pkcs11 { get; set; }

        /// <summary>Accounts and Regions of AWS KMS by name. The one named <c>default</c> is the backend <c>aws-kms</c>, any other <c>aws-kms:name</c>.</summary>
        public IDictionary<string, AwsKmsOptions> AwsKms { get; } = new Dictionary<string, AwsKmsOptions>(StringComparer.Ordinal);
    }

    public sealed record AuditSettings
    {
        /// <summary>How long a request waits for its record to be durable, and with SQLite for what counts once (a <c>jti</c>), before it is refused. Over 2,000 a hanging disk becomes a hanging service.</summary>
        public int CommitTimeoutMilliseconds { get; set; } = 1500;

        /// <summary>Requests that may wait for a commit. Too few refuse a burst; too many keep memory for callers who have given up.</summary>
        public int QueuedEntries { get; set; } = 16_384;
    }

    public sealed record LimitSettings
    {
        /// <summary>Largest body of a single request. It also bounds a message that is hashed here.</summary>
        [Reloadable]
        public int BodyBytes { get; set; } = 1024 * 1024;

        /// <summary>Largest body of a batch.</summary>
        public int BatchBodyBytes { get; set; } = 8 * 1024 * 1024;

        /// <summary>Open connections; more are refused. Each costs a few KiB.</summary>
        public int Connections { get; set; } = 10_000;
    }

    public sealed record GrpcSettings
    {
        public const string DefaultUrl = "http://127.0.0.1:8081";

        /// <summary>
        /// Where gRPC is served beside the addresses of HTTP: <c>http://…</c> is HTTP/2 without TLS, <c>https://…</c> HTTP/1.1 and
        /// HTTP/2 with Kestrel's certificate, <c>http://unix:/path</c> a Unix socket. Empty: not served of its own; it still is on
        /// HTTP's own https addresses. Plain HTTP/2 on an address that others reach shows credentials to the network.
        /// </summary>
        public string Url { get; set; } = DefaultUrl;

        /// <summary>Whether strangers may ask which services and messages there are. The answer is what the protos say anyway.</summary>
        public bool Reflection { get; set; } = true;

        /// <summary>Largest request message. A parsed message takes a multiple of it in memory.</summary>
        public int MessageBytes { get; set; } = 4 * 1024 * 1024;

        /// <summary>
        /// Requests of one stream that are worked on at once; the stream is not read further until one has its answer. Too few,
        /// and signing waits while their records are made durable; many fill the queue of a slow backend for everybody.
        /// </summary>
        public int StreamParallelism { get; set; } = 256;
    }

    public sealed record KubernetesSettings
    {
        public const string DefaultKey = "tokens";

        /// <summary>The Unix socket that kube-apiserver calls: an absolute path, or <c>@name</c> for an abstract one. Empty: none.</summary>
        public string Socket { get; set; } = "";

        /// <summary>Name of the tokens key that signs service account tokens. Give the cluster one of its own: whoever gets other tokens of this key speaks with its voice.</summary>
        public string Key { get; set; } = DefaultKey;

        /// <summary>Longest lifetime of a service account token. Kubernetes wants 600 at least; a longer one keeps retired keys published for longer.</summary>
        public int MaxTokenExpirationSeconds { get; set; } = 3600;

        /// <summary>Names of further tokens keys, separated by commas, whose tokens stay valid in the cluster but which its discovery document leaves out.</summary>
        public string ExcludedKeys { get; set; } = "";

        /// <summary>User ids, separated by commas, whose processes may call. Empty: the service's own and root.</summary>
        public string AllowedUids { get; set; } = "";

        public IReadOnlyList<string> ExcludedKeyNames => Split(ExcludedKeys);

        /// <summary>Null where they are left to the default.</summary>
        public IReadOnlyList<uint>? Uids =>
            AllowedUids.Length == 0 ? null : [.. Split(AllowedUids).Select(t => uint.Parse(t, NumberStyles.None, CultureInfo.InvariantCulture))];

        internal bool HasReadableUids =>
            Split(AllowedUids).All(t => uint.TryParse(t, NumberStyles.None, CultureInfo.InvariantCulture, out _));

        private static string[] Split(string list) =>
            list.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
    }

    /// <summary>Every fault of the settings, in words; empty where all is well.</summary>
    public IReadOnlyList<string> Check()
    {
        var faults = new List<string>();
        Require(!string.IsNullOrWhiteSpace(Data), "Data (SIGNSVC_DATA) must name a folder.");
        Require(
            PublicUrl is null || (Uri.TryCreate(PublicUrl, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" && !PublicUrl.EndsWith('/')),
            "PublicUrl must be an absolute http or https URL without a slash at its end.");
        Require(Node is null || KeyName.IsValid(Node), "Node must match [a-z0-9][a-z0-9._-]{0,62}.");
        Require(Store.StaleAfterSeconds is >= 5 and <= 3600, "Store:StaleAfterSeconds is from 5 to 3600.");
        if (Store.Postgres is { } postgres && PostgresOptions.FaultOf(postgres) is { } postgresFault)
            faults.Add($"Store:Postgres cannot be read: {postgresFault}");
        Require(Store.PostgresPasswordFile is null || Store.Postgres is not null, "Store:PostgresPasswordFile goes with Store:Postgres.");
        Require(Audit.CommitTimeoutMilliseconds is >= 50 and <= 10_000, "Audit:CommitTimeoutMilliseconds is from 50 to 10000.");
        Require(Audit.QueuedEntries is >= 16 and <= 1_000_000, "Audit:QueuedEntries is from 16 to 1000000.");
        Require(Limits.BodyBytes is >= 1024 and <= 64 * 1024 * 1024, "Limits:BodyBytes is from 1024 to 67108864.");
        Require(Limits.BatchBodyBytes >= Limits.BodyBytes && Limits.BatchBodyBytes <= 256 * 1024 * 1024, "Limits:BatchBodyBytes is from Limits:BodyBytes to 268435456.");
        Require(Limits.Connections is >= 10 and <= 1_000_000, "Limits:Connections is from 10 to 1000000.");
        if (Backends.Pkcs11 is { } pkcs11)
            faults.AddRange(pkcs11.Validate().Select(f => $"Backends:Pkcs11: {f}"));
        foreach (var (instance, aws) in Backends.AwsKms)
        {
            Require(KeyName.IsValid(instance), $"Backends:AwsKms: the name {instance} must match [a-z0-9][a-z0-9._-]{{0,62}}.");
            faults.AddRange(aws.Validate().Select(f => $"Backends:AwsKms:{instance}: {f}"));
        }

        Require(Grpc.Url.Length == 0 || ServedAddress.CanParse(Grpc.Url), "Grpc:Url is an http or https address, http://unix:/path, or empty.");
        Require(Grpc.MessageBytes is >= 64 * 1024 and <= 64 * 1024 * 1024, "Grpc:MessageBytes is from 65536 to 67108864.");
        Require(Grpc.StreamParallelism is >= 1 and <= 1024, "Grpc:StreamParallelism is from 1 to 1024.");
        if (Kubernetes.Socket.Length > 0)
            CheckKubernetes();
        faults.AddRange(Access.Faults());
        faults.AddRange(Telemetry.Check());
        faults.AddRange(Usage.Check());
        faults.AddRange(Shutdown.Check());
        return faults;

        void CheckKubernetes()
        {
            const int longestPath = 107;
            Require(
                Kubernetes.Socket is ['/', _, ..] or ['@', _, ..] && Encoding.UTF8.GetByteCount(Kubernetes.Socket) <= longestPath,
                $"Kubernetes:Socket is an absolute path or @name, of at most {longestPath} bytes.");
            Require(KeyName.IsValid(Kubernetes.Key), "Kubernetes:Key is the name of a tokens key.");
            Require(Kubernetes.MaxTokenExpirationSeconds is >= 600 and <= 31_622_400, "Kubernetes:MaxTokenExpirationSeconds is from 600 to 31622400.");
            Require(Kubernetes.ExcludedKeyNames.All(KeyName.IsValid), "Kubernetes:ExcludedKeys are names of tokens keys, separated by commas.");
            Require(
                !Kubernetes.ExcludedKeyNames.Contains(Kubernetes.Key, StringComparer.Ordinal),
                "Kubernetes:ExcludedKeys must not name the key that signs: kube-apiserver refuses tokens of keys that discovery does not show.");
            Require(Kubernetes.HasReadableUids, "Kubernetes:AllowedUids are numbers separated by commas.");
        }

        void Require(bool holds, string message)
        {
            if (!holds)
                faults.Add(message);
        }
    }
}
