using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Access.Grants;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing.Tests;

/// <summary>
/// One of the nodes on a store, as the service puts it together, without a process: its time, its store and its backend are
/// the test's, which ends the last two itself.
/// </summary>
internal sealed class DomainNode : IAsyncDisposable
{
    private readonly AuditLog _audit;

    private DomainNode(AuditLog audit, LiveSnapshot live, IStore store, IKeyBackend backend, TimeProvider time)
    {
        _audit = audit;
        Live = live;
        var decisions = Decisions = new Decisions(audit, live, time);
        Backends = new BackendSet([backend]);
        var rules = new KeyRules(RequireHardware: false);
        Keys = new KeyLifecycle(live, decisions, Backends, rules, time);
        var edits = Edits = new KeyEdits(live, decisions, audit);
        Aliases = new KeyAliases(live, decisions, edits, audit);
        Changes = new KeyChanges(edits, live, store, Backends, time);
        Rotation = new KeyRotation(edits, live, Backends, time);
        Policies = new PolicyAdministration(live, decisions, time);
        Questions = new PolicyQuestions(live, decisions, time);
        Credentials = new Credentials(live, decisions, time);
        Grants = new KeyGrants(live, decisions, audit, time);
        Profiles = new TokenProfiles(live, decisions, store, time);
        Approvals = new ApprovalDecisions(live, decisions, time);
        Rules = new ApprovalRules(live, decisions, time);
        Signer = new Signer(live, Backends, audit, decisions, rules, new TokenIssuing("https://issuer.example"), time);
    }

    public LiveSnapshot Live { get; }

    public BackendSet Backends { get; }

    public Decisions Decisions { get; }

    public KeyEdits Edits { get; }

    public KeyLifecycle Keys { get; }

    public KeyChanges Changes { get; }

    public KeyRotation Rotation { get; }

    public PolicyAdministration Policies { get; }

    public PolicyQuestions Questions { get; }

    public Credentials Credentials { get; }

    public KeyGrants Grants { get; }

    public KeyAliases Aliases { get; }

    public TokenProfiles Profiles { get; }

    public ApprovalDecisions Approvals { get; }

    public ApprovalRules Rules { get; }

    public Signer Signer { get; }

    public static async Task<DomainNode> StartAsync(
        string name, IStore store, RootKey root, IKeyBackend backend, TimeProvider time, CancellationToken cancellationToken)
    {
        // How long a commit takes is the machine's time, whatever the time of the rules.
        var audit = await AuditLog.OpenAsync(
            store, Chain(root), name, new AuditLimits { CommitTimeout = TimeSpan.FromMinutes(1) }, TimeProvider.System, cancellationToken);
        var live = await LiveSnapshot.OpenAsync(store, audit, new DocumentSeal(root.Derive("documents")), cancellationToken);
        return new DomainNode(audit, live, store, backend, time);
    }

    public static AuditChain Chain(RootKey root) => new(root.Derive("audit"));

    public async ValueTask DisposeAsync()
    {
        await _audit.DisposeAsync();
        Live.Dispose();
        Backends.Dispose();
    }
}
