using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Access.Approvals;

/// <param name="Findings">What is odd about it: see <see cref="ResourceLint"/>.</param>
public sealed record ApprovalRulePut(ApprovalRule Rule, ImmutableArray<PolicyFinding> Findings);

/// <summary>Rules of approval: put, read, deleted. What a rule asks for, changing it asks for too.</summary>
public sealed class ApprovalRules(LiveSnapshot live, Decisions decisions, TimeProvider time)
{
    public const int MaxRules = 256;

    public Task<ImmutableArray<ApprovalRule>> ListAsync(Caller caller, CancellationToken cancellationToken) =>
        decisions.ReadAsync(
            caller, decisions.Draft(caller, Actions.ApprovalsRead, "approval-rule/*"),
            _ => ValueTask.FromResult(live.Current.ApprovalRules.Values.Select(r => r.Rule).ToImmutableArray()), cancellationToken);

    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>.</exception>
    public Task<ApprovalRule> ReadAsync(Caller caller, string name, CancellationToken cancellationToken) =>
        decisions.ReadAsync(
            caller, decisions.Draft(caller, Actions.ApprovalsRead, Decisions.Resource("approval-rule", name)),
            _ => ValueTask.FromResult(live.Current.ApprovalRules.TryGetValue(name, out var rule) ? rule.Rule : throw NoSuchRule()), cancellationToken);

    /// <param name="wish">Who changed it, and when, are settled here.</param>
    /// <param name="force">Also where there are too few credentials that could approve.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.ApprovalRequired"/>; <see cref="SigningFault.InvalidRequest"/>; <see cref="SigningFault.LocksOut"/>.</exception>
    public Task<ApprovalRulePut> PutAsync(Caller caller, ApprovalRule wish, bool force, CancellationToken cancellationToken)
    {
        var resource = Decisions.Resource("approval-rule", wish.Name);
        var draft = decisions.Draft(caller, Actions.ApprovalRulesPut, resource);
        // Times and names of who asks are no part of what is asked for.
        var text = JsonSerializer.Serialize(wish with { ChangedAt = default, ChangedBy = "" }, SigningJson.Default.ApprovalRule);
        return decisions.ChangeAsync(
            caller, draft,
            async permit =>
            {
                var basis = live.Current;
                var rule = wish with { Name = KeyName.Parse(wish.Name), ChangedAt = time.GetUtcNow(), ChangedBy = caller.Principal };
                var compiled = CompiledApprovalRule.Compile(rule);
                if (basis.ApprovalRules.Count >= MaxRules && !basis.ApprovalRules.ContainsKey(rule.Name))
                    throw new SigningException(SigningFault.InvalidRequest, $"There are {MaxRules} rules, which is as many as there may be.");
                if (!force && PolicyLockout.IsStranded(basis, basis.Access, rule, caller, time.GetUtcNow()))
                {
                    throw new SigningException(
                        SigningFault.LocksOut,
                        $"There are fewer than {rule.Required} credentials that could approve what you ask for under this rule, taking it back included. Ask for it with force if that is meant.");
                }

                var record = draft with { Detail = string.Create(CultureInfo.InvariantCulture, $"{rule.Required} of {string.Join(", ", rule.Approvers)} for {string.Join(", ", rule.Actions)} on {string.Join(", ", rule.Resources)}") };
                await live.ChangeAsync(permit, record, cancellationToken, rule.Put(basis));
                return new ApprovalRulePut(rule, [.. new ResourceLint(live.Current, action => decisions.Allows(caller, action, resource: null)).Check(compiled)]);
            },
            subject: () => ApprovalSubject.Of(Actions.ApprovalRulesPut, resource, ("rule", text), ("force", force ? "true" : "false")));
    }

    /// <exception cref="SigningException"><see cref="SigningFault.ApprovalRequired"/>; <see cref="SigningFault.NotFound"/>.</exception>
    public Task DeleteAsync(Caller caller, string name, CancellationToken cancellationToken)
    {
        var resource = Decisions.Resource("approval-rule", name);
        var draft = decisions.Draft(caller, Actions.ApprovalRulesDelete, resource);
        return decisions.ChangeAsync(
            caller, draft,
            async permit =>
            {
                var basis = live.Current;
                if (!basis.ApprovalRules.ContainsKey(name))
                    throw NoSuchRule();
                return await live.ChangeAsync(permit, draft with { Detail = "deleted" }, cancellationToken, ApprovalRule.Remove(name, basis));
            },
            subject: () => ApprovalSubject.Of(Actions.ApprovalRulesDelete, resource));
    }

    private static SigningException NoSuchRule() => new(SigningFault.NotFound, "There is no such rule.");
}
