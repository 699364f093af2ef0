using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tests.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing.Tests.Access;

/// <summary>One of the nodes on a store.</summary>
internal sealed class ApprovalNode : IAsyncDisposable
{
    private readonly AuditLog _audit;

    private ApprovalNode(AuditLog audit, LiveSnapshot live, MemoryStore store, SoftwareBackend software, TimeProvider time)
    {
        _audit = audit;
        Live = live;
        var decisions = new Decisions(audit, live, time);
        var backends = new BackendSet([software]);
        var rules = new KeyRules(RequireHardware: false);
        Keys = new KeyLifecycle(live, decisions, backends, rules, time);
        var edits = new KeyEdits(live, decisions, audit);
        Changes = new KeyChanges(edits, live, store, time);
        Rotation = new KeyRotation(edits, live, backends, time);
        Policies = new PolicyAdministration(live, decisions, time);
        Approvals = new ApprovalDecisions(live, decisions, time);
        Rules = new ApprovalRules(live, decisions, time);
        Signer = new Signer(live, backends, audit, decisions, rules, new TokenIssuing("https://issuer.example"), time);
    }

    public LiveSnapshot Live { get; }

    public KeyLifecycle Keys { get; }

    public KeyChanges Changes { get; }

    public KeyRotation Rotation { get; }

    public PolicyAdministration Policies { get; }

    public ApprovalDecisions Approvals { get; }

    public ApprovalRules Rules { get; }

    public Signer Signer { get; }

    public static async Task<ApprovalNode> StartAsync(
        string name, MemoryStore store, RootKey root, SoftwareBackend software, TimeProvider time, CancellationToken cancellationToken)
    {
        var audit = await AuditLog.OpenAsync(
            store, new AuditChain(root.Derive("audit")), name, new AuditLimits { CommitTimeout = TimeSpan.FromMinutes(1) }, TimeProvider.System, cancellationToken);
        var live = await LiveSnapshot.OpenAsync(store, audit, new DocumentSeal(root.Derive("documents")), cancellationToken);
        return new ApprovalNode(audit, live, store, software, time);
    }

    public async ValueTask DisposeAsync()
    {
        await _audit.DisposeAsync();
        Live.Dispose();
    }
}
