using System.Collections.Immutable;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Access;

/// <summary>
/// What a caller holds and may therefore pass on: nobody gives by policy, grant or credential more than they have.
/// Where it cannot be seen that something is held, it is not.
/// </summary>
public sealed partial class AccessPolicy
{
    /// <exception cref="SigningException"><see cref="SigningFault.Forbidden"/>, naming what is not held.</exception>
    internal void RefuseMoreThanHeld(Caller caller, IEnumerable<CompiledStatement> given, Key? key, KeyRing keys, DateTimeOffset now)
    {
        foreach (var statement in given.Where(s => s.Effect == PolicyEffect.Allow))
        {
            foreach (var action in statement.Actions)
            {
                foreach (var resource in statement.Resources)
                {
                    if (!Holds(caller, action, resource, key, statement.Statement.Conditions, now)
                        || (key is null && IsDeniedByAKeysOwn(caller, action, resource, keys, now)))
                        throw NotHeld($"{statement.Name} gives {action} on {(key is null ? resource.ToString() : "the key")}");
                }
            }
        }
    }

    /// <summary>Whoever makes a credential, or a new secret for one, could act in its place.</summary>
    /// <param name="principal">Of the credential: what policies and grants give to it counts, too.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.Forbidden"/>.</exception>
    internal void RefuseTakingOver(Caller caller, string principal, IEnumerable<Role> roles, KeyRing keys, DateTimeOffset now)
    {
        if (string.Equals(caller.Principal, principal, StringComparison.Ordinal))
            return;
        RefuseMoreThanHeld(caller, roles, keys, now);
        bool IsItsOwn(CompiledStatement s) => s.IsFor(principal) && (!s.IsFor(caller.Principal) || AsksWhoItIs(s, principal, now));
        RefuseMoreThanHeld(caller, _service.Values.SelectMany(p => p.Statements).Where(IsItsOwn), key: null, keys, now);
        foreach (var (keyId, policy) in _keys)
        {
            if (keys.TryGet(keyId, out var key))
                RefuseMoreThanHeld(caller, policy.Statements.Where(IsItsOwn), key, keys, now);
        }

        foreach (var grant in _grants.Values.SelectMany(g => g).Select(g => g.Grant).Where(g => g.IsLiveAt(now) && Wildcard.Matches(g.Grantee, principal)))
        {
            if (keys.TryGet(grant.KeyId, out var key)
                && !grant.Operations.All(o => Holds(caller, o, new ResourcePattern("key", key.Name), key, grant.Constraints.All, now)))
                throw NotHeld($"grant/{grant.Id} is given to {principal}");
        }
    }

    /// <summary>A statement for many gives to this one what it does not give to all of them: by its name, or because it has no claims.</summary>
    private static bool AsksWhoItIs(CompiledStatement statement, string principal, DateTimeOffset now)
    {
        var asked = new AccessRequest { Caller = new Caller(principal, []), Action = Actions.CredentialsCreate, At = now };
        var ofCaller = statement.Conditions.Where(c => c.Fact.Kind is FactKind.CallerPrincipal or FactKind.CallerClaim).ToArray();
        return ofCaller.Length > 0 && ofCaller.All(c => c.Holds(asked, PolicyEffect.Allow));
    }

    /// <exception cref="SigningException"><see cref="SigningFault.Forbidden"/>.</exception>
    private void RefuseMoreThanHeld(Caller caller, IEnumerable<Role> roles, KeyRing keys, DateTimeOffset now)
    {
        foreach (var role in roles)
        {
            var actions = Actions.All.Where(a => role.Allows(a));
            if (actions.FirstOrDefault(a => !Holds(caller, a, ResourcePattern.All, key: null, [], now)
                || IsDeniedByAKeysOwn(caller, a, ResourcePattern.All, keys, now)) is { } missing)
                throw NotHeld($"{role.PolicyName()} gives {missing} on everything");
        }
    }

    /// <summary>A secret of another credential gives all that is its own: its roles, and what policies give to its principal.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.Forbidden"/>.</exception>
    internal void RefuseMoreThanHeld(Caller caller, Credential credential, KeyRing keys, DateTimeOffset now)
    {
        if (string.Equals(caller.Principal, credential.Principal, StringComparison.Ordinal))
            return;
        RefuseMoreThanHeld(caller, credential.Roles, keys, now);
        RefuseMoreThanHeld(caller, _service.Values.SelectMany(p => p.Statements).Where(s => s.IsFor(credential.Principal)), key: null, keys, now);
        foreach (var (id, policy) in _keys)
        {
            if (keys.TryGet(id, out var key))
                RefuseMoreThanHeld(caller, policy.Statements.Where(s => s.IsFor(credential.Principal)), key, keys, now);
        }
    }

    /// <param name="key">The key that it is about; null: whatever <paramref name="resource"/> matches.</param>
    /// <param name="conditions">Under which it is given: what the caller holds only under the same conditions can be passed on.</param>
    /// <param name="asItStands">What is held by the key's tags and owner counts; else it does not, because they may change.</param>
    internal bool Holds(
        Caller caller, string action, ResourcePattern resource, Key? key, ImmutableArray<PolicyCondition> conditions, DateTimeOffset now,
        bool asItStands = false)
    {
        if (ReferenceEquals(caller, Caller.Service))
            return true;
        var target = new Target(resource, key);
        var asked = new AccessRequest { Caller = caller, Action = action, At = now, Facts = new AccessFacts { Key = key } };
        var ofKey = key is null ? null : _keys.GetValueOrDefault(key.Id);
        var service = _byAction.Value.GetValueOrDefault(action, ActionStatements.None);

        var denials = service.Denials.Where(s => target.MayBeOf(s)).Concat(ofKey?.Denials.Where(s => s.Actions.Contains(action)) ?? []);
        if (denials.Any(s => MayDenyHimAlone(s, asked, asItStands)))
            return false;
        if (caller.Roles.Any(r => r.Allows(action)))
            return true;
        var allowances = service.Allowances.Where(s => target.IsWithin(s)).Concat(ofKey?.Allowances.Where(s => s.Actions.Contains(action)) ?? []);
        return allowances.Any(s => s.IsFor(caller.Principal) && s.Conditions.All(c => IsSettled(c, asked, asItStands) ? c.Holds(asked, PolicyEffect.Allow) : conditions.Contains(c.Source)));
    }

    /// <summary>What is given on many keys is given on each of them, also on one whose own policy denies it to the giver.</summary>
    private bool IsDeniedByAKeysOwn(Caller caller, string action, ResourcePattern resource, KeyRing keys, DateTimeOffset now)
    {
        if (ReferenceEquals(caller, Caller.Service))
            return false;
        foreach (var (id, policy) in _keys)
        {
            if (policy.Denials.Length == 0 || !keys.TryGet(id, out var key) || key.State == KeyState.Deleted
                || !(resource.MayOverlap(new ResourcePattern("key", key.Name)) || resource.MayOverlap(new ResourcePattern("key", key.Id))))
            {
                continue;
            }

            var asked = new AccessRequest { Caller = caller, Action = action, At = now, Facts = new AccessFacts { Key = key } };
            if (policy.Denials.Any(d => d.Actions.Contains(action) && MayDenyHimAlone(d, asked, asItStands: false)))
                return true;
        }

        return false;
    }

    /// <summary>A denial that binds everybody alike binds also whoever is given something.</summary>
    private static bool MayDenyHimAlone(CompiledStatement denial, AccessRequest asked, bool asItStands) =>
        denial.IsFor(asked.Caller.Principal)
        && denial.Conditions.All(c => !IsSettled(c, asked, asItStands) || c.Holds(asked, PolicyEffect.Deny))
        && !(denial.Statement.Principals.Contains("*", StringComparer.Ordinal) && !denial.Conditions.Any(c => c.Fact.IsOfCaller));

    /// <summary>Known now and for good: who the caller is and which key it is.</summary>
    private static bool IsSettled(Condition condition, in AccessRequest asked, bool asItStands) =>
        condition.Fact.Kind is FactKind.CallerPrincipal or FactKind.CallerClaim
        || (asItStands && asked.Facts.Key is not null && condition.Fact.IsOfMutableKey)
        || (asked.Facts.Key is not null && condition.Fact.Kind is FactKind.KeyName or FactKind.KeyId or FactKind.KeyTier or FactKind.KeyPurpose or FactKind.KeySpec);

    private static SigningException NotHeld(string what) =>
        new(SigningFault.Forbidden, $"You cannot give what you do not hold yourself: {what}.");

    /// <summary>What is given: a pattern, or one key by its id and by its name, which it keeps as long as it lives.</summary>
    private readonly record struct Target(ResourcePattern Resource, Key? Key)
    {
        public bool IsWithin(CompiledStatement statement)
        {
            foreach (var pattern in statement.Resources)
            {
                var covers = Key is null
                    ? pattern.Covers(Resource)
                    : pattern.Covers(new ResourcePattern("key", Key.Name)) || pattern.Covers(new ResourcePattern("key", Key.Id));
                if (covers)
                    return true;
            }

            return false;
        }

        public bool MayBeOf(CompiledStatement statement)
        {
            foreach (var pattern in statement.Resources)
            {
                var may = Key is null
                    ? pattern.MayOverlap(Resource)
                    : pattern.MayOverlap(new ResourcePattern("key", Key.Name)) || pattern.MayOverlap(new ResourcePattern("key", Key.Id));
                if (may)
                    return true;
            }

            return false;
        }
    }
}
