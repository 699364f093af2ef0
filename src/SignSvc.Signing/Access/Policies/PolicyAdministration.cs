using System.Collections.Immutable;
using System.Text.Json;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Access.Policies;

/// <param name="Findings">What <see cref="PolicyLint"/> and <see cref="ResourceLint"/> think of it.</param>
public sealed record PolicyPut(StoredPolicy Policy, ImmutableArray<PolicyFinding> Findings);

/// <summary>Policies of the service and of keys: put, read, deleted. Whoever writes one gives no more than they hold.</summary>
public sealed class PolicyAdministration(LiveSnapshot live, Decisions decisions, TimeProvider time)
{
    /// <summary>Every request that a role does not settle walks the statements about its action.</summary>
    public const int MaxPolicies = 256;

    public Task<ImmutableArray<StoredPolicy>> ListAsync(Caller caller, CancellationToken cancellationToken) =>
        decisions.ReadAsync(
            caller, decisions.Draft(caller, Actions.PoliciesRead),
            _ => ValueTask.FromResult(live.Current.Policies.Values.ToImmutableArray()), cancellationToken);

    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>.</exception>
    public Task<StoredPolicy> ReadAsync(Caller caller, string name, CancellationToken cancellationToken) =>
        decisions.ReadAsync(
            caller, decisions.Draft(caller, Actions.PoliciesRead, Decisions.Resource("policy", name)),
            _ => live.Current.Policies.TryGetValue(name, out var policy) ? ValueTask.FromResult(policy) : throw NoSuchPolicy(), cancellationToken);

    /// <param name="force">Also where the caller, or everybody, could not change it back.</param>
    /// <exception cref="SigningException">
    /// <see cref="SigningFault.InvalidRequest"/>, naming the statement; <see cref="SigningFault.Forbidden"/>: it gives what the
    /// caller does not hold; <see cref="SigningFault.LocksOut"/>; <see cref="SigningFault.Conflict"/>.
    /// </exception>
    public Task<PolicyPut> PutAsync(Caller caller, string name, PolicyDocument document, bool force, CancellationToken cancellationToken)
    {
        var draft = decisions.Draft(caller, Actions.PoliciesPut, Decisions.Resource("policy", name));
        return decisions.ChangeAsync(caller, draft, async permit =>
        {
            var basis = live.Current;
            var place = new PolicyPlace(PolicyScope.Service, KeyName.Parse(name), Key: null);
            if (basis.Policies.Count >= MaxPolicies && !basis.Policies.ContainsKey(name))
                throw new SigningException(SigningFault.InvalidRequest, $"There are {MaxPolicies} policies, which is as many as there may be.");
            return await PutAsync(permit, draft, basis, place, document, force, cancellationToken);
        }, subject: () => SubjectOfPut(Decisions.Resource("policy", name), document, force));
    }

    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>; <see cref="SigningFault.LocksOut"/>: it allowed somebody to change it.</exception>
    public Task DeleteAsync(Caller caller, string name, bool force, CancellationToken cancellationToken)
    {
        var draft = decisions.Draft(caller, Actions.PoliciesDelete, Decisions.Resource("policy", name));
        return decisions.ChangeAsync(caller, draft, async permit =>
        {
            var basis = live.Current;
            if (!basis.Policies.ContainsKey(name))
                throw NoSuchPolicy();
            return await DeleteAsync(permit, draft, basis, new PolicyPlace(PolicyScope.Service, name, Key: null), force, cancellationToken);
        }, subject: () => SubjectOfDelete(Decisions.Resource("policy", name), force));
    }

    /// <returns>A policy without statements where the key has none.</returns>
    public Task<(Key Key, StoredPolicy? Policy)> ReadOfKeyAsync(Caller caller, string reference, CancellationToken cancellationToken)
    {
        var (key, draft) = DraftOfKey(caller, Actions.PoliciesRead, reference);
        return decisions.ReadAsync(
            caller, draft,
            _ => key is null ? throw decisions.UnknownKey(caller) : ValueTask.FromResult((key, live.Current.KeyPolicies.GetValueOrDefault(key.Id))),
            cancellationToken);
    }

    /// <inheritdoc cref="PutAsync(Caller, string, PolicyDocument, bool, CancellationToken)"/>
    public Task<PolicyPut> PutOfKeyAsync(Caller caller, string reference, PolicyDocument document, bool force, CancellationToken cancellationToken)
    {
        var (key, draft) = DraftOfKey(caller, Actions.PoliciesPut, reference);
        return decisions.ChangeAsync(caller, draft, async permit => key is null
            ? throw decisions.UnknownKey(caller)
            : await PutAsync(permit, draft, live.Current, new PolicyPlace(PolicyScope.Key, key.Id, key), document, force, cancellationToken),
            subject: () => key is null ? null : SubjectOfPut($"key/{key.Id}", document, force));
    }

    public Task DeleteOfKeyAsync(Caller caller, string reference, bool force, CancellationToken cancellationToken)
    {
        var (key, draft) = DraftOfKey(caller, Actions.PoliciesDelete, reference);
        return decisions.ChangeAsync(caller, draft, async permit => key is null
            ? throw decisions.UnknownKey(caller)
            : await DeleteAsync(permit, draft, live.Current, new PolicyPlace(PolicyScope.Key, key.Id, key), force, cancellationToken),
            subject: () => key is null ? null : SubjectOfDelete($"key/{key.Id}", force));
    }

    private async ValueTask<PolicyPut> PutAsync(
        Permit permit, AuditRecord draft, Snapshot basis, PolicyPlace place, PolicyDocument document, bool force, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var policy = new StoredPolicy
        {
            Scope = place.Scope,
            Name = place.Name,
            Document = document,
            ChangedAt = now,
            ChangedBy = permit.Caller.Principal,
        };
        var compiled = CompiledPolicy.Compile(policy.Source, document, place.Scope);
        // What stood there before was somebody else's to give.
        var before = place.In(basis)?.Document.Statements.Select(Text).ToHashSet(StringComparer.Ordinal) ?? [];
        basis.Access.RefuseMoreThanHeld(permit.Caller, compiled.Statements.Where(s => !before.Contains(Text(s.Statement))), place.Key, basis.Keys, now);
        if (!force)
            RefuseLockout(basis, permit.Caller, place, basis.Access.With(policy));
        var record = draft with { Detail = $"{document.Statements.Length} statements{(force ? ", forced" : "")}" };
        await live.ChangeAsync(permit, record, cancellationToken, policy.Put(basis));
        var resources = new ResourceLint(live.Current, action => decisions.Allows(permit.Caller, action, resource: null));
        return new PolicyPut(policy, [.. PolicyLint.Check(document, place.Scope), .. resources.Check(document, place.Scope, place.Key)]);
    }

    private async ValueTask<bool> DeleteAsync(
        Permit permit, AuditRecord draft, Snapshot basis, PolicyPlace place, bool force, CancellationToken cancellationToken)
    {
        if (!force)
            RefuseLockout(basis, permit.Caller, place, basis.Access.Without(place.Scope, place.Name));
        await live.ChangeAsync(
            permit, draft with { Detail = force ? "deleted, forced" : "deleted" }, cancellationToken, StoredPolicy.Remove(place.Scope, place.Name, basis));
        return true;
    }

    private void RefuseLockout(Snapshot basis, Caller caller, PolicyPlace place, AccessPolicy after)
    {
        if (PolicyLockout.Of(basis, caller, place, after, time.GetUtcNow()) is { } who)
            throw new SigningException(SigningFault.LocksOut, $"With this change {who}. Ask for it with force if that is meant.");
    }

    private (Key? Key, AuditRecord Draft) DraftOfKey(Caller caller, string action, string reference)
    {
        var known = live.Current.Keys.TryGet(reference, out var key) && key.State != KeyState.Deleted;
        return (known ? key : null, decisions.Draft(caller, action, known ? null : Decisions.Resource("key", reference)) with
        {
            KeyId = known ? key!.Id : null,
            KeyName = known ? key!.Name : null,
        });
    }

    private static ApprovalSubject SubjectOfPut(string resource, PolicyDocument document, bool force)
    {
        var text = JsonSerializer.Serialize(document, SigningJson.Default.PolicyDocument);
        return ApprovalSubject.Of(Actions.PoliciesPut, resource, ("document", text), ("force", force ? "true" : "false"));
    }

    private static ApprovalSubject SubjectOfDelete(string resource, bool force) =>
        ApprovalSubject.Of(Actions.PoliciesDelete, resource, ("force", force ? "true" : "false"));

    /// <summary>What it says, in the one way in which it is stored: whatever is put between texts can stand in them.</summary>
    private static string Text(PolicyStatement statement) =>
        JsonSerializer.Serialize(new PolicyDocument([statement with { Sid = null }]), SigningJson.Default.PolicyDocument);

    private static SigningException NoSuchPolicy() => new(SigningFault.NotFound, "There is no such policy.");
}
