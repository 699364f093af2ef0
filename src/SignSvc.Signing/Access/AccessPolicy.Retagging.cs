using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Access;

/// <summary>
/// Conditions on a key's tags and owner decide which statements speak of it, so that whoever changes these gives and takes
/// rights: no more than they hold, as by any other way.
/// </summary>
public sealed partial class AccessPolicy
{
    /// <exception cref="SigningException"><see cref="SigningFault.Forbidden"/>, naming what is not held.</exception>
    internal void RefuseRetagging(Caller caller, Key before, Key after, DateTimeOffset now)
    {
        if (ReferenceEquals(caller, Caller.Service) || (ReferenceEquals(before.Tags, after.Tags) && string.Equals(before.Owner, after.Owner, StringComparison.Ordinal)))
            return;
        foreach (var (name, policy) in _service)
        {
            foreach (var statement in policy.Statements)
                RefuseGain(caller, statement, name, before, after, now);
        }

        foreach (var statement in _keys.GetValueOrDefault(before.Id)?.Statements ?? [])
            RefuseGain(caller, statement, place: null, before, after, now);
    }

    /// <param name="place">The service policy that the statement stands in; null: the key's own.</param>
    private void RefuseGain(Caller caller, CompiledStatement statement, string? place, Key before, Key after, DateTimeOffset now)
    {
        var gives = statement.Effect == PolicyEffect.Allow;
        var (spoke, speaks) = (SpeaksOf(statement, before, now), SpeaksOf(statement, after, now));
        if (spoke == speaks || speaks != gives || !new Target(ResourcePattern.All, before).MayBeOf(statement))
            return;

        // A denial or limit is taken away. Who may change the policy may take it away there as well.
        if (!gives && Allows(new AccessRequest
        {
            Caller = caller,
            Action = Actions.PoliciesPut,
            At = now,
            Resource = place is null ? null : $"policy/{place}",
            Facts = new AccessFacts { Key = place is null ? before : null },
        }))
        {
            return;
        }

        if (!gives && statement.IsFor(caller.Principal))
            throw NotHeld($"with these tags or owner {statement.Name} would bind you no more");
        foreach (var action in statement.Actions)
        {
            if (!Holds(caller, action, ResourcePattern.All, before, [], now, asItStands: true))
                throw NotHeld($"with these tags or owner {statement.Name} {(gives ? "gives" : "no longer denies")} {action} on {before.Name}");
        }
    }

    /// <summary>As far as tags and owner decide it; other conditions are open.</summary>
    private static bool SpeaksOf(CompiledStatement statement, Key key, DateTimeOffset now)
    {
        var asked = new AccessRequest { Caller = Caller.Service, Action = Actions.KeysUpdate, At = now, Facts = new AccessFacts { Key = key } };
        return statement.Conditions.All(c => !c.Fact.IsOfMutableKey || c.Holds(asked, statement.Effect));
    }
}
