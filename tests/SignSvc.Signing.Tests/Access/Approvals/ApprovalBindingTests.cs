using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Access.Grants;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing.Tests.Access.Approvals;

/// <summary>What is approved is what is done, and once: on two nodes that share a store.</summary>
public sealed class ApprovalBindingTests : ApprovalScene
{
    [Fact]
    public async Task A_request_is_carried_out_once_it_has_its_approvals_and_needs_new_ones_then()
    {
        await PutRuleAsync(required: 2);
        var pending = await PendingAsync(Sign());
        Assert.Equal(pending, await PendingAsync(Sign()));
        Assert.Equal(ApprovalState.Pending, (await One.Approvals.ApproveAsync(Alice, pending, "looks well", Cancel)).State);
        Assert.Equal(pending, await PendingAsync(Sign()));
        Assert.Equal(ApprovalState.Approved, (await One.Approvals.ApproveAsync(Bob, pending, reason: null, Cancel)).State);

        Assert.NotEmpty((await One.Signer.SignAsync(Asker, Sign(), Cancel)).Signature);
        Assert.Equal(ApprovalState.Used, (await One.Approvals.ReadAsync(Asker, pending, TimeSpan.Zero, Cancel)).State);
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
        // A member that comes to be has to be tried here, too. That the version counts is a test of its own.
        Assert.Equal(7, typeof(SigningContext).GetProperties().Count(p => p.CanWrite));
        Assert.Equal(6, typeof(SignRequest).GetProperties().Count(p => p.CanWrite));
        var ids = new HashSet<string>(StringComparer.Ordinal) { approved };
        foreach (var request in changed)
            Assert.True(ids.Add(await PendingAsync(request)), $"{request} goes by the approval of another request.");

        // Another caller has nothing of it either.
        Assert.True(ids.Add(await PendingAsync(Sign(), Bob)));
        await One.Signer.SignAsync(Asker, Sign() with { Key = "release" }, Cancel);
    }

    [Fact]
    public async Task A_rotation_between_approval_and_use_voids_the_approval_and_the_refusal_says_so()
    {
        await PutRuleAsync();
        var approved = await ApprovedAsync(Sign());
        var subject = One.Live.Current.Approvals[approved].Subject;
        Assert.Equal((1, One.Live.Current.Keys.All.Single(k => k.Name is "release").Version(1)!.Kid), (subject.Version, subject.Kid));

        // Asked for by its number or not, it is the same version, and one approval.
        Assert.Equal(await PendingAsync(Sign() with { Version = 1 }, Bob), await PendingAsync(Sign(), Bob));
        var key = await One.Rotation.RotateAsync(Asker, "release", Cancel);
        await One.Rotation.ActivateAsync(await One.Rotation.ConfirmServedAsync(key, 2, Cancel), 2, Cancel);

        var refusal = await Assert.ThrowsAsync<SigningException>(() => One.Signer.SignAsync(Asker, Sign(), Cancel));
        Assert.Equal(SigningFault.ApprovalRequired, refusal.Fault);
        Assert.Contains($"The approval {approved} is for version 1, and version 2 would sign now.", refusal.Message, StringComparison.Ordinal);
        Assert.NotEqual(approved, refusal.Approval!.Approval.Id, StringComparer.Ordinal);
        Assert.Equal(SigningFault.KeyNotUsable, await FaultOfAsync(() => One.Signer.SignAsync(Asker, Sign() with { Version = 1 }, Cancel)));

        // Approved anew, it is signed by what was approved.
        await One.Approvals.ApproveAsync(Bob, refusal.Approval.Approval.Id, reason: null, Cancel);
        Assert.Equal(2, (await One.Signer.SignAsync(Asker, Sign(), Cancel)).Version.Number);
    }

    [Fact]
    public async Task Of_twenty_repeats_at_once_on_two_nodes_one_is_carried_out()
    {
        await PutRuleAsync();
        await Two.Live.RefreshAsync(Cancel);
        await ApprovedAsync(Sign());
        await Two.Live.RefreshAsync(Cancel);
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => FaultOfAsync(() => (i % 2 == 0 ? One : Two).Signer.SignAsync(Asker, Sign(), Cancel))));
        Assert.Equal(1, outcomes.Count(o => o is null));
        Assert.All(outcomes.Where(o => o is not null), o => Assert.Equal(SigningFault.ApprovalRequired, o));
    }

    [Fact]
    public async Task A_change_uses_up_its_approval_in_its_own_commit_and_once()
    {
        await PutRuleAsync(actions: Actions.KeysDisable);
        var pending = await PendingAsync(() => One.Changes.DisableAsync(Asker, "release", Cancel));
        await One.Approvals.ApproveAsync(Alice, pending, reason: null, Cancel);
        await Two.Live.RefreshAsync(Cancel);
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => FaultOfAsync(() => (i % 2 == 0 ? One : Two).Changes.DisableAsync(Asker, "release", Cancel))));
        // Who came when it was done found nothing left to do or to approve.
        Assert.Contains(outcomes, o => o is null);
        Assert.All(outcomes.Where(o => o is not null), o => Assert.Contains(o!.Value, (SigningFault[])[SigningFault.ApprovalRequired, SigningFault.Forbidden]));
        await One.Live.RefreshAsync(Cancel);
        Assert.Equal(KeyState.Disabled, One.Live.Current.Keys.All.Single(k => string.Equals(k.Name, "release", StringComparison.Ordinal)).State);
        await One.Changes.EnableAsync(Asker, "release", Cancel);
        await PendingAsync(() => One.Changes.DisableAsync(Asker, "release", Cancel));
    }

    /// <summary>Each by a call that differs from its neighbour in one parameter.</summary>
    [Fact]
    public async Task Whatever_a_rule_can_speak_of_waits_for_approval_with_its_parameters()
    {
        await PutRuleAsync(actions: "*", resources: "*");
        var ends = Clock.GetUtcNow().AddDays(30);
        var document = new PolicyDocument([]);
        var profile = new TokenProfile { Name = "p", KeyId = "", Audiences = ["a"], DefaultLifetimeSeconds = 300, MaxLifetimeSeconds = 300 };
        NewGrant Grant(int uses) => new("g", "credential:x", [Actions.KeysSign], PolicyConditions.None, ends, uses);
        var calls = new Dictionary<string, Func<Task>[]>(StringComparer.Ordinal)
        {
            [Actions.KeysSign] = [() => SignAsync(1), () => SignAsync(2)],
            [Actions.KeysDisable] = [() => One.Changes.DisableAsync(Asker, "release", Cancel), () => One.Changes.DisableAsync(Asker, "other", Cancel)],
            [Actions.KeysEnable] = [() => One.Changes.EnableAsync(Asker, "release", Cancel), () => One.Changes.EnableAsync(Asker, "other", Cancel)],
            [Actions.KeysScheduleDeletion] = [() => One.Changes.ScheduleDeletionAsync(Asker, "release", 7, Cancel), () => One.Changes.ScheduleDeletionAsync(Asker, "release", 8, Cancel)],
            [Actions.KeysCancelDeletion] = [() => One.Changes.CancelDeletionAsync(Asker, "release", Cancel), () => One.Changes.CancelDeletionAsync(Asker, "other", Cancel)],
            [Actions.KeysRevoke] = [() => RevokeAsync(RevocationReason.Superseded), () => RevokeAsync(RevocationReason.Compromised)],
            [Actions.KeysRotate] = [() => One.Rotation.RotateAsync(Asker, "release", Cancel), () => One.Rotation.RotateAsync(Asker, "other", Cancel)],
            [Actions.KeysUpdate] = [() => UpdateAsync(new KeyUpdate(Owner: "a")), () => UpdateAsync(new KeyUpdate(DeletionProtection: false))],
            [Actions.AliasesPut] = [() => One.Aliases.PutAsync(Asker, "prod", "release", Cancel), () => One.Aliases.PutAsync(Asker, "prod", "other", Cancel)],
            [Actions.AliasesDelete] = [() => One.Aliases.DeleteAsync(Asker, "release", Cancel), () => One.Aliases.DeleteAsync(Asker, "other", Cancel)],
            [Actions.ProfilesPut] = [() => One.Profiles.PutAsync(Asker, "release", profile, Cancel), () => One.Profiles.PutAsync(Asker, "release", profile with { Audiences = ["b"] }, Cancel)],
            [Actions.ProfilesDelete] = [() => One.Profiles.DeleteAsync(Asker, "p", Cancel), () => One.Profiles.DeleteAsync(Asker, "p2", Cancel)],
            [Actions.CredentialsCreate] = [() => CredentialAsync(Role.Signer), () => CredentialAsync(Role.Auditor)],
            [Actions.CredentialsRotate] = [() => RotateAsync(ends), () => RotateAsync(ends.AddDays(1))],
            [Actions.CredentialsRevoke] = [() => One.Credentials.RevokeAsync(Asker, "c", force: false, Cancel), () => One.Credentials.RevokeAsync(Asker, "c", force: true, Cancel)],
            [Actions.GrantsCreate] = [() => One.Grants.CreateAsync(Asker, "release", Grant(1), Cancel), () => One.Grants.CreateAsync(Asker, "release", Grant(2), Cancel)],
            [Actions.GrantsRevoke] = [() => One.Grants.RevokeAsync(Asker, "release", "g1", Cancel), () => One.Grants.RevokeAsync(Asker, "release", "g2", Cancel)],
            [Actions.PoliciesPut] = [() => One.Policies.PutAsync(Asker, "p", document, force: false, Cancel), () => One.Policies.PutAsync(Asker, "p", document, force: true, Cancel)],
            [Actions.PoliciesDelete] = [() => One.Policies.DeleteAsync(Asker, "p", force: false, Cancel), () => One.Policies.DeleteAsync(Asker, "p", force: true, Cancel)],
            [Actions.ApprovalRulesPut] = [() => PutRuleAsync(required: 2), () => PutRuleAsync(required: 3)],
            [Actions.ApprovalRulesDelete] = [() => One.Rules.DeleteAsync(Asker, "rule", Cancel), () => One.Rules.DeleteAsync(Asker, "rule2", Cancel)],
        };
        // Import and client keys need an HTTP service: their tests are with it.
        Assert.Equal(ApprovalRule.Approvable.Order(StringComparer.Ordinal), calls.Keys.Append(Actions.KeysImport).Append(Actions.CredentialsUpdate).Order(StringComparer.Ordinal));

        var ids = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (action, pair) in calls)
        {
            var first = await PendingAsync(pair[0]);
            Assert.True(ids.Add(first), $"{action} goes by the approval of another request.");
            Assert.True(ids.Add(await PendingAsync(pair[1])), $"{action} goes by the approval of another request.");
            Assert.Equal(first, await PendingAsync(pair[0]));
            Assert.Equal(action, One.Live.Current.Approvals[first].Subject.Action);
        }

        Task SignAsync(int number) => One.Signer.SignAsync(Asker, Sign(number), Cancel);
        Task RevokeAsync(RevocationReason reason) => One.Rotation.RevokeAsync(Asker, "release", 1, reason, Cancel);
        Task UpdateAsync(KeyUpdate update) => One.Changes.UpdateAsync(Asker, "release", _ => update, Cancel);
        Task CredentialAsync(Role role) => One.Credentials.CreateAsync(Asker, "new", [role], ends, [], Cancel);
        Task RotateAsync(DateTimeOffset until) => One.Credentials.RotateAsync(Asker, "c", TimeSpan.Zero, until, force: false, Cancel);
    }

    [Fact]
    public async Task Parameters_of_changes_are_bound()
    {
        await PutRuleAsync(actions: "*", resources: "*");
        var days = await PendingAsync(() => One.Changes.ScheduleDeletionAsync(Asker, "release", 30, Cancel));
        await One.Approvals.ApproveAsync(Alice, days, reason: null, Cancel);
        Assert.NotEqual(days, await PendingAsync(() => One.Changes.ScheduleDeletionAsync(Asker, "release", 7, Cancel)), StringComparer.Ordinal);

        var revoke = await PendingAsync(() => One.Rotation.RevokeAsync(Asker, "other", 1, RevocationReason.Superseded, Cancel));
        Assert.NotEqual(revoke, await PendingAsync(() => One.Rotation.RevokeAsync(Asker, "other", 1, RevocationReason.Compromised, Cancel)), StringComparer.Ordinal);
        Assert.NotEqual(revoke, await PendingAsync(() => One.Rotation.RevokeAsync(Asker, "other", 2, RevocationReason.Superseded, Cancel)), StringComparer.Ordinal);

        PolicyDocument Policy(string action) => new(
            [new PolicyStatement { Effect = PolicyEffect.Allow, Principals = ["credential:x"], Actions = [action], Resources = ["key/release"] }]);
        var put = await PendingAsync(() => One.Policies.PutAsync(Asker, "team", Policy(Actions.KeysRead), force: false, Cancel));
        await One.Approvals.ApproveAsync(Bob, put, reason: null, Cancel);
        foreach (var other in (Func<Task>[])
            [
                () => One.Policies.PutAsync(Asker, "team", Policy(Actions.KeysSign), force: false, Cancel),
                () => One.Policies.PutAsync(Asker, "team", Policy(Actions.KeysRead), force: true, Cancel),
                () => One.Policies.PutAsync(Asker, "crew", Policy(Actions.KeysRead), force: false, Cancel),
            ])
        {
            Assert.NotEqual(put, await PendingAsync(other), StringComparer.Ordinal);
        }

        Assert.Equal("team", (await One.Policies.PutAsync(Asker, "team", Policy(Actions.KeysRead), force: false, Cancel)).Policy.Name);
        Assert.Equal(KeyState.PendingDeletion, (await One.Changes.ScheduleDeletionAsync(Asker, "release", 30, Cancel)).State);
    }
}
