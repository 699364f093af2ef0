using System.Collections.Frozen;
using System.Collections.Immutable;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tests.Keys;
using SignSvc.Tests.Shared;

namespace SignSvc.Signing.Tests.Access;

/// <summary>What is approved is what is done, once: on two nodes that share a store, under a clock that stands.</summary>
public sealed class ApprovalTests : IAsyncLifetime
{
    private static readonly Caller Asker = new("credential:ci", [Role.Admin]);
    private static readonly Caller Alice = new("credential:alice", [Role.Admin]) { KnownAs = "alice@example.com" };
    private static readonly Caller AliceByToken = Token("oidc:corp:a1", "Alice@Example.com");
    private static readonly Caller Bob = Token("oidc:corp:b2", "bob@example.com");

    private static readonly SigningContext Context = new()
    {
        Artifact = new ArtifactFacts("blob", "app.tar", "https://example.com/app.tar", "sha256:" + new string('0', 64)),
        Repository = "acme/app",
        Commit = "c0ffee",
        Ref = "refs/heads/main",
        Run = "1",
    };

    private readonly ManualClock _clock = new();
    private readonly RootKey _root = RootKey.Generate();
    private readonly MemoryStore _store = new();
    private SoftwareBackend _software = null!;
    private ApprovalNode _one = null!;
    private ApprovalNode _two = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _software = new SoftwareBackend("software", _root);
        _one = await StartAsync("one");
        foreach (var name in (string[])["release", "other"])
        {
            await _one.Keys.CreateAsync(
                Asker, NewKey.Parse(name, KeyPurpose.Artifacts, KeyTier.Assured, "software", "RSA_2048", ["RS256", "PS256"]), Cancel);
        }

        _two = await StartAsync("two");
    }

    public async ValueTask DisposeAsync()
    {
        await _one.DisposeAsync();
        await _two.DisposeAsync();
        _software.Dispose();
        _root.Dispose();
    }

    [Fact]
    public async Task A_request_is_carried_out_once_it_has_its_approvals_and_needs_new_ones_then()
    {
        await PutRuleAsync(required: 2);
        var pending = await PendingAsync(Sign());
        Assert.Equal(pending, await PendingAsync(Sign()));
        Assert.Equal(ApprovalState.Pending, (await _one.Approvals.ApproveAsync(Alice, pending, "looks well", Cancel)).State);
        Assert.Equal(pending, await PendingAsync(Sign()));
        Assert.Equal(ApprovalState.Approved, (await _one.Approvals.ApproveAsync(Bob, pending, reason: null, Cancel)).State);

        Assert.NotEmpty((await _one.Signer.SignAsync(Asker, Sign(), Cancel)).Signature);
        Assert.Equal(ApprovalState.Used, (await _one.Approvals.ReadAsync(Asker, pending, TimeSpan.Zero, Cancel)).State);
        Assert.NotEqual(pending, await PendingAsync(Sign()), StringComparer.Ordinal);
    }

    [Fact]
    public async Task Whatever_member_changes_between_approval_and_use_the_approval_is_not_for_it()
    {
        await PutRuleAsync(resources: "key/*");
        var approved = await ApprovedAsync(Sign());
        var other = new byte[32];
        other[31] = 1;
        SignRequest[] changed =
        [
            Sign() with { Key = "other" },
            Sign() with { Version = 1 },
            Sign() with { Algorithm = SigningAlgorithm.Parse("RS256") },
            Sign() with { Payload = Payload.Digest(other) },
            Sign() with { Payload = Payload.Message(new byte[32]) },
            Sign() with { Context = null },
            Sign() with { Context = Context with { Artifact = null } },
            Sign() with { Context = Context with { Artifact = Context.Artifact! with { Type = "x" } } },
            Sign() with { Context = Context with { Artifact = Context.Artifact! with { Name = "x" } } },
            Sign() with { Context = Context with { Artifact = Context.Artifact! with { Uri = "x" } } },
            Sign() with { Context = Context with { Artifact = Context.Artifact! with { Digest = "sha256:" + new string('1', 64) } } },
            Sign() with { Context = Context with { Subjects = [new ArtifactFacts(Name: "x")] } },
            Sign() with { Context = Context with { PredicateType = "x" } },
            Sign() with { Context = Context with { Repository = "x" } },
            Sign() with { Context = Context with { Commit = "x" } },
            Sign() with { Context = Context with { Ref = "x" } },
            Sign() with { Context = Context with { Run = "x" } },
        ];
        // A member that comes to be has to be tried here, too.
        Assert.Equal(7, typeof(SigningContext).GetProperties().Count(p => p.CanWrite));
        Assert.Equal(6, typeof(SignRequest).GetProperties().Count(p => p.CanWrite));
        var ids = new HashSet<string>(StringComparer.Ordinal) { approved };
        foreach (var request in changed)
            Assert.True(ids.Add(await PendingAsync(request)), $"{request} goes by the approval of another request.");

        // Another caller has nothing of it either.
        Assert.True(ids.Add(await PendingAsync(Sign(), Bob)));
        await _one.Signer.SignAsync(Asker, Sign() with { Key = "release" }, Cancel);
    }

    [Fact]
    public async Task Nobody_approves_their_own_request_however_they_come()
    {
        await PutRuleAsync();
        var pending = await PendingAsync(Sign(), Alice);
        await MustBeForbiddenAsync(() => _one.Approvals.ApproveAsync(Alice, pending, reason: null, Cancel));
        await MustBeForbiddenAsync(() => _one.Approvals.ApproveAsync(AliceByToken, pending, reason: null, Cancel));
        await PendingAsync(Sign(), Alice);
        Assert.Equal(ApprovalState.Approved, (await _one.Approvals.ApproveAsync(Bob, pending, reason: null, Cancel)).State);
    }

    [Fact]
    public async Task One_person_counts_once_by_credential_and_by_token()
    {
        await PutRuleAsync(required: 2);
        var pending = await PendingAsync(Sign());
        await _one.Approvals.ApproveAsync(Alice, pending, reason: null, Cancel);
        await _one.Approvals.ApproveAsync(Alice, pending, reason: null, Cancel);
        var twice = await _one.Approvals.ApproveAsync(AliceByToken, pending, reason: null, Cancel);
        Assert.Equal((ApprovalState.Pending, 1), (twice.State, twice.Given));
    }

    [Fact]
    public async Task Who_no_rule_names_or_has_no_right_to_decide_decides_nothing()
    {
        await PutRuleAsync(approvers: "credential:alice");
        var pending = await PendingAsync(Sign());
        await MustBeForbiddenAsync(() => _one.Approvals.ApproveAsync(Bob, pending, reason: null, Cancel));
        await MustBeForbiddenAsync(() => _one.Approvals.RejectAsync(Bob, pending, "no", Cancel));
        await MustBeForbiddenAsync(() => _one.Approvals.ApproveAsync(Alice with { Roles = [Role.Operator] }, pending, reason: null, Cancel));
        await MustBeForbiddenAsync(() => _one.Approvals.BreakGlassAsync(Alice with { Roles = [Role.Operator] }, pending, "now", Cancel));
    }

    [Fact]
    public async Task Of_twenty_repeats_at_once_on_two_nodes_one_is_carried_out()
    {
        await PutRuleAsync();
        await _two.Live.RefreshAsync(Cancel);
        await ApprovedAsync(Sign());
        await _two.Live.RefreshAsync(Cancel);
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => FaultOfAsync(() => (i % 2 == 0 ? _one : _two).Signer.SignAsync(Asker, Sign(), Cancel))));
        Assert.Equal(1, outcomes.Count(o => o is null));
        Assert.All(outcomes.Where(o => o is not null), o => Assert.Equal(SigningFault.ApprovalRequired, o));
    }

    [Fact]
    public async Task A_change_uses_up_its_approval_in_its_own_commit_and_once()
    {
        await PutRuleAsync(actions: Actions.KeysDisable);
        var pending = await PendingAsync(() => _one.Changes.DisableAsync(Asker, "release", Cancel));
        await _one.Approvals.ApproveAsync(Alice, pending, reason: null, Cancel);
        await _two.Live.RefreshAsync(Cancel);
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => FaultOfAsync(() => (i % 2 == 0 ? _one : _two).Changes.DisableAsync(Asker, "release", Cancel))));
        // Who came when it was done found nothing left to do or to approve.
        Assert.Contains(outcomes, o => o is null);
        Assert.All(outcomes.Where(o => o is not null), o => Assert.Contains(o!.Value, (SigningFault[])[SigningFault.ApprovalRequired, SigningFault.Forbidden]));
        await _one.Live.RefreshAsync(Cancel);
        Assert.Equal(KeyState.Disabled, _one.Live.Current.Keys.All.Single(k => string.Equals(k.Name, "release", StringComparison.Ordinal)).State);
        await _one.Changes.EnableAsync(Asker, "release", Cancel);
        await PendingAsync(() => _one.Changes.DisableAsync(Asker, "release", Cancel));
    }

    [Fact]
    public async Task Parameters_of_changes_are_bound()
    {
        await PutRuleAsync(actions: "*", resources: "*");
        var days = await PendingAsync(() => _one.Changes.ScheduleDeletionAsync(Asker, "release", 30, Cancel));
        await _one.Approvals.ApproveAsync(Alice, days, reason: null, Cancel);
        Assert.NotEqual(days, await PendingAsync(() => _one.Changes.ScheduleDeletionAsync(Asker, "release", 7, Cancel)), StringComparer.Ordinal);

        var revoke = await PendingAsync(() => _one.Rotation.RevokeAsync(Asker, "other", 1, RevocationReason.Superseded, Cancel));
        Assert.NotEqual(revoke, await PendingAsync(() => _one.Rotation.RevokeAsync(Asker, "other", 1, RevocationReason.Compromised, Cancel)), StringComparer.Ordinal);
        Assert.NotEqual(revoke, await PendingAsync(() => _one.Rotation.RevokeAsync(Asker, "other", 2, RevocationReason.Superseded, Cancel)), StringComparer.Ordinal);

        PolicyDocument Policy(string action) => new(
            [new PolicyStatement { Effect = PolicyEffect.Allow, Principals = ["credential:x"], Actions = [action], Resources = ["key/release"] }]);
        var put = await PendingAsync(() => _one.Policies.PutAsync(Asker, "team", Policy(Actions.KeysRead), force: false, Cancel));
        await _one.Approvals.ApproveAsync(Bob, put, reason: null, Cancel);
        foreach (var other in (Func<Task>[])
            [
                () => _one.Policies.PutAsync(Asker, "team", Policy(Actions.KeysSign), force: false, Cancel),
                () => _one.Policies.PutAsync(Asker, "team", Policy(Actions.KeysRead), force: true, Cancel),
                () => _one.Policies.PutAsync(Asker, "crew", Policy(Actions.KeysRead), force: false, Cancel),
            ])
        {
            Assert.NotEqual(put, await PendingAsync(other), StringComparer.Ordinal);
        }

        Assert.Equal("team", (await _one.Policies.PutAsync(Asker, "team", Policy(Actions.KeysRead), force: false, Cancel)).Policy.Name);
        Assert.Equal(KeyState.PendingDeletion, (await _one.Changes.ScheduleDeletionAsync(Asker, "release", 30, Cancel)).State);
    }

    [Fact]
    public async Task What_expires_is_approved_by_nobody_and_good_for_nothing()
    {
        await PutRuleAsync();
        var pending = await PendingAsync(Sign());
        _clock.Advance(TimeSpan.FromHours(1) - TimeSpan.FromSeconds(1));
        Assert.Equal(ApprovalState.Approved, (await _one.Approvals.ApproveAsync(Alice, pending, reason: null, Cancel)).State);
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(SigningFault.KeyNotUsable, await FaultOfAsync(() => _one.Approvals.ApproveAsync(Bob, pending, reason: null, Cancel)));
        Assert.NotEqual(pending, await PendingAsync(Sign()), StringComparer.Ordinal);
        Assert.False(_one.Live.Current.Approvals.ContainsKey(pending));
    }

    [Fact]
    public async Task A_restart_keeps_what_is_pending_and_what_is_given()
    {
        await PutRuleAsync(required: 2);
        var pending = await PendingAsync(Sign());
        await _one.Approvals.ApproveAsync(Alice, pending, reason: null, Cancel);
        await using var restarted = await StartAsync("three");
        Assert.Equal(1, (await restarted.Approvals.ReadAsync(Asker, pending, TimeSpan.Zero, Cancel)).Given);
        await restarted.Approvals.ApproveAsync(Bob, pending, reason: null, Cancel);
        Assert.NotEmpty((await restarted.Signer.SignAsync(Asker, Sign(), Cancel)).Signature);
    }

    [Fact]
    public async Task One_rejection_ends_it_even_when_it_was_approved()
    {
        await PutRuleAsync();
        var pending = await ApprovedAsync(Sign());
        await _one.Approvals.RejectAsync(Bob, pending, "not this build", Cancel);
        var refusal = await Assert.ThrowsAsync<SigningException>(() => _one.Signer.SignAsync(Asker, Sign(), Cancel));
        Assert.Equal(SigningFault.Forbidden, refusal.Fault);
        Assert.Contains("not this build", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(SigningFault.KeyNotUsable, await FaultOfAsync(() => _one.Approvals.BreakGlassAsync(Alice, pending, "now", Cancel)));
    }

    [Fact]
    public async Task Broken_glass_lets_one_request_through()
    {
        await PutRuleAsync(required: 3);
        var pending = await PendingAsync(Sign());
        Assert.Equal(SigningFault.InvalidRequest, await FaultOfAsync(() => _one.Approvals.BreakGlassAsync(Alice, pending, " ", Cancel)));
        await _one.Approvals.BreakGlassAsync(Alice, pending, "the site is down", Cancel);
        await _one.Signer.SignAsync(Asker, Sign(), Cancel);
        await PendingAsync(Sign());
    }

    [Fact]
    public async Task A_rule_guards_itself()
    {
        await PutRuleAsync();
        var delete = await PendingAsync(() => _one.Rules.DeleteAsync(Asker, "rule", Cancel));
        await PendingAsync(() => PutRuleAsync(required: 3));
        await _one.Approvals.ApproveAsync(Alice, delete, reason: null, Cancel);
        await PendingAsync(Sign());
        await _one.Rules.DeleteAsync(Asker, "rule", Cancel);
        Assert.NotEmpty((await _one.Signer.SignAsync(Asker, Sign(), Cancel)).Signature);
    }

    [Fact]
    public async Task A_rule_that_grew_stricter_meanwhile_counts_as_it_stands()
    {
        await PutRuleAsync();
        await ApprovedAsync(Sign());
        await _one.Rules.PutAsync(Asker, Rule("second", 1, "oidc:corp:b2", Actions.KeysSign, "key/release"), Cancel);
        await PendingAsync(Sign());
    }

    [Fact]
    public async Task A_key_is_not_deleted_while_an_approval_about_it_is_open()
    {
        await PutRuleAsync();
        var pending = await PendingAsync(Sign());
        Assert.Equal(SigningFault.StillInUse, await FaultOfAsync(() => _one.Changes.ScheduleDeletionAsync(Asker, "release", 7, Cancel)));
        await _one.Approvals.RejectAsync(Asker, pending, "taken back", Cancel);
        Assert.Equal(KeyState.PendingDeletion, (await _one.Changes.ScheduleDeletionAsync(Asker, "release", 7, Cancel)).State);
    }

    [Fact]
    public async Task Requests_that_wait_are_bounded_for_each_caller()
    {
        await PutRuleAsync();
        for (var i = 0; i < ApprovalDecisions.MaxPending; i++)
            await PendingAsync(Sign(i));
        Assert.Equal(SigningFault.RateLimited, await FaultOfAsync(() => _one.Signer.SignAsync(Asker, Sign(1000), Cancel)));
        await PendingAsync(Sign(), Bob);
    }

    [Theory]
    [InlineData(0, "*", "keys:Sign", "key/*")]
    [InlineData(17, "*", "keys:Sign", "key/*")]
    [InlineData(1, "", "keys:Sign", "key/*")]
    [InlineData(1, "*", "keys:List", "key/*")]
    [InlineData(1, "*", "keys:Sign", "house/*")]
    public async Task A_rule_that_makes_no_sense_is_refused(int required, string approvers, string actions, string resources) =>
        Assert.Equal(SigningFault.InvalidRequest, await FaultOfAsync(() => _one.Rules.PutAsync(Asker, Rule("rule", required, approvers, actions, resources), Cancel)));

    private Task<ApprovalNode> StartAsync(string name) => ApprovalNode.StartAsync(name, _store, _root, _software, _clock, Cancel);

    private Task<ApprovalRule> PutRuleAsync(int required = 1, string approvers = "*", string actions = Actions.KeysSign, string resources = "key/release") =>
        _one.Rules.PutAsync(Asker, Rule("rule", required, approvers, actions, resources), Cancel);

    private static ApprovalRule Rule(string name, int required, string approvers, string actions, string resources) => new()
    {
        Name = name,
        Resources = [resources],
        Actions = [actions],
        Required = required,
        Approvers = [approvers],
        ChangedAt = default,
        ChangedBy = "",
    };

    private async Task<string> ApprovedAsync(SignRequest request)
    {
        var pending = await PendingAsync(request);
        Assert.Equal(ApprovalState.Approved, (await _one.Approvals.ApproveAsync(Alice, pending, reason: null, Cancel)).State);
        return pending;
    }

    private Task<string> PendingAsync(SignRequest request, Caller? caller = null) => PendingAsync(() => _one.Signer.SignAsync(caller ?? Asker, request, Cancel));

    private static async Task<string> PendingAsync(Func<Task> act)
    {
        var refusal = await Assert.ThrowsAsync<SigningException>(act);
        Assert.Equal((SigningFault.ApprovalRequired, ""), (refusal.Fault, refusal.Fault == SigningFault.ApprovalRequired ? "" : refusal.Message));
        Assert.NotNull(refusal.AuditId);
        return refusal.Approval!.Approval.Id;
    }

    private static async Task MustBeForbiddenAsync(Func<Task> act) => Assert.Equal(SigningFault.Forbidden, await FaultOfAsync(act));

    private static async Task<SigningFault?> FaultOfAsync(Func<Task> act)
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

    private static SignRequest Sign(int number = 0)
    {
        var digest = new byte[32];
        BitConverter.TryWriteBytes(digest, number);
        return new() { Key = "release", Algorithm = SigningAlgorithm.Parse("PS256"), Payload = Payload.Digest(digest), Context = Context };
    }

    private static Caller Token(string principal, string email) => new(principal, [Role.Admin])
    {
        Claims = new Dictionary<string, ImmutableArray<string>>(StringComparer.Ordinal) { ["email"] = [email], ["email_verified"] = ["true"] }
            .ToFrozenDictionary(StringComparer.Ordinal),
    };
}
