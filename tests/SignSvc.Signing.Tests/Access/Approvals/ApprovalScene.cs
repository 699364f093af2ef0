using System.Collections.Frozen;
using System.Collections.Immutable;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tests.Keys;
using SignSvc.Tests.Shared;

namespace SignSvc.Signing.Tests.Access.Approvals;

/// <summary>Two nodes that share a store, under a clock that stands, and the people who ask and approve.</summary>
public abstract class ApprovalScene : IAsyncLifetime
{
    protected static readonly Caller Asker = new("credential:ci", [Role.Admin]);
    protected static readonly Caller Alice = new("credential:alice", [Role.Admin]) { KnownAs = "alice@example.com" };
    protected static readonly Caller AliceByToken = Token("oidc:corp:a1", "Alice@Example.com");
    protected static readonly Caller Bob = Token("oidc:corp:b2", "bob@example.com");

    protected static readonly SigningContext Context = new()
    {
        Artifact = new ArtifactFacts("blob", "app.tar", "https://example.com/app.tar", "sha256:" + new string('0', 64)),
        Repository = "acme/app",
        Commit = "c0ffee",
        Ref = "refs/heads/main",
        Run = "1",
    };

    private readonly RootKey _root = RootKey.Generate();
    private readonly MemoryStore _store = new();
    private SoftwareBackend _software = null!;

    private protected DomainNode One { get; private set; } = null!;

    private protected DomainNode Two { get; private set; } = null!;

    protected ManualClock Clock { get; } = new();

    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _software = new SoftwareBackend("software", _root);
        One = await StartAsync("one");
        foreach (var name in (string[])["release", "other"])
        {
            await One.Keys.CreateAsync(
                Asker, NewKey.Parse(name, KeyPurpose.Artifacts, KeyTier.Assured, "software", "RSA_2048", ["RS256", "PS256"]), Cancel);
        }

        Two = await StartAsync("two");
    }

    public async ValueTask DisposeAsync()
    {
        await One.DisposeAsync();
        await Two.DisposeAsync();
        _software.Dispose();
        _root.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected Task<DomainNode> StartAsync(string name) => DomainNode.StartAsync(name, _store, _root, _software, Clock, Cancel);

    protected Task<ApprovalRulePut> PutRuleAsync(int required = 1, string approvers = "*", string actions = Actions.KeysSign, string resources = "key/release") =>
        One.Rules.PutAsync(Asker, Rule("rule", required, approvers, actions, resources), force: true, Cancel);

    protected static ApprovalRule Rule(string name, int required, string approvers, string actions, string resources) => new()
    {
        Name = name,
        Resources = [resources],
        Actions = [actions],
        Required = required,
        Approvers = [approvers],
        ChangedAt = default,
        ChangedBy = "",
    };

    protected async Task<string> ApprovedAsync(SignRequest request)
    {
        var pending = await PendingAsync(request);
        Assert.Equal(ApprovalState.Approved, (await One.Approvals.ApproveAsync(Alice, pending, reason: null, Cancel)).State);
        return pending;
    }

    protected Task<string> PendingAsync(SignRequest request, Caller? caller = null) => PendingAsync(() => One.Signer.SignAsync(caller ?? Asker, request, Cancel));

    protected static async Task<string> PendingAsync(Func<Task> act)
    {
        var refusal = await Assert.ThrowsAsync<SigningException>(act);
        Assert.Equal((SigningFault.ApprovalRequired, ""), (refusal.Fault, refusal.Fault == SigningFault.ApprovalRequired ? "" : refusal.Message));
        Assert.NotNull(refusal.AuditId);
        return refusal.Approval!.Approval.Id;
    }

    protected static async Task MustBeForbiddenAsync(Func<Task> act) => Assert.Equal(SigningFault.Forbidden, await FaultOfAsync(act));

    protected static async Task<SigningFault?> FaultOfAsync(Func<Task> act)
    {
        try
        {
            await act();
            return null;
        }
        catch (SigningException e)
        {
            return e.Fault;
        }
    }

    protected static SignRequest Sign(int number = 0)
    {
        var digest = new byte[32];
        BitConverter.TryWriteBytes(digest, number);
        return new() { Key = "release", Algorithm = SigningAlgorithm.Parse("PS256"), Payload = Payload.Digest(digest), Context = Context };
    }

    protected static Caller Token(string principal, string email) => new(principal, [Role.Admin])
    {
        Claims = new Dictionary<string, ImmutableArray<string>>(StringComparer.Ordinal) { ["email"] = [email], ["email_verified"] = ["true"] }
            .ToFrozenDictionary(StringComparer.Ordinal),
    };
}
