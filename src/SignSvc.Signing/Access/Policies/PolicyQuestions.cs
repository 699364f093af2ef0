using System.Collections.Immutable;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing.Access.Policies;

/// <summary>What if: a request that somebody might make.</summary>
public sealed record PolicyQuestion
{
    public required string Action { get; init; }

    /// <summary><c>kind/name</c>; a key by its id, name or alias; with an alias the key that it stands for. Null: all of the action's kind.</summary>
    public string? Resource { get; init; }

    /// <summary>Null: whoever asks.</summary>
    public Caller? Caller { get; init; }

    /// <summary>Null: now.</summary>
    public DateTimeOffset? At { get; init; }

    public SigningContext? Context { get; init; }

    /// <summary>Of the profile that <see cref="Resource"/> names.</summary>
    public TokenRequest? Token { get; init; }

    public long? Bytes { get; init; }

    public int? Count { get; init; }
}

/// <summary>Answers what would happen, and why, without doing it.</summary>
public sealed class PolicyQuestions(LiveSnapshot live, Decisions decisions, TimeProvider time)
{
    /// <returns>Without statements and reasons for who may not read policies there.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.Forbidden"/>; <see cref="SigningFault.InvalidRequest"/>: no such action.</exception>
    public Task<AccessExplanation> ExplainAsync(Caller asker, PolicyQuestion question, CancellationToken cancellationToken)
    {
        var needed = question.Caller is null ? Actions.PoliciesExplain : Actions.PoliciesRead;
        var (resource, facts) = Resolve(question, question.Caller ?? asker);
        // By its key, however the question names it: whose policies are told is decided on the key itself.
        var draft = decisions.Draft(asker, needed, Shortened(resource)) with
        {
            KeyId = facts.Key?.Id,
            KeyName = facts.Key?.Name,
            Detail = $"{question.Action}{(question.Caller is null ? "" : $" by {question.Caller.Principal}")}",
        };
        return decisions.ReadAsync(
            asker, draft,
            _ =>
            {
                if (!Actions.All.Contains(question.Action, StringComparer.Ordinal))
                    throw new SigningException(SigningFault.InvalidRequest, "There is no such action.");
                if (question.Resource is { } named)
                    ResourcePattern.Parse(named, "The question");
                question.Context?.Check();
                var access = live.Current.Access;
                var asked = decisions.Ask(question.Caller ?? asker, question.Action, resource, facts);
                asked = question.At is { } at ? asked with { At = at } : asked;
                var explanation = access.Explain(asked) with
                {
                    Limits = [.. decisions.LimitsOn(asked)],
                    Approvals = [.. live.Current.ApprovalRulesFor(asked).Select(r => new ApprovalNeed(r.Rule.Name, r.Rule.Required))],
                };
                explanation = explanation with { Verdict = VerdictOf(explanation) };
                if (AbsenceOf(question, facts) is { } absence)
                {
                    var unknown = decisions.Unknown(asker, absence);
                    var verdict = unknown.Fault == SigningFault.NotFound ? PolicyVerdict.NotFound : PolicyVerdict.Denied;
                    explanation = explanation with { Allowed = false, Verdict = verdict, By = null, Absence = unknown.Message };
                }

                var mayKnow = access.Allows(decisions.Ask(asker, Actions.PoliciesRead, resource, new AccessFacts { Key = facts.Key }));
                return ValueTask.FromResult(mayKnow ? explanation : explanation with { By = null, Statements = [], Limits = [], Approvals = [], IsOpaque = true });
            },
            cancellationToken);
    }

    /// <param name="name">Where it is meant to stand: a service policy's name, or a key; null: a new service policy, or any key.</param>
    /// <returns>What is odd about it, and whether it would lock its administrators out there.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, naming the statement.</exception>
    public Task<ImmutableArray<PolicyFinding>> LintAsync(
        Caller caller, PolicyDocument document, PolicyScope scope, string? name, CancellationToken cancellationToken) =>
        decisions.ReadAsync(
            caller, decisions.Draft(caller, Actions.PoliciesExplain) with { Detail = "lint" },
            _ =>
            {
                var key = KeyAt(caller, scope, name);
                var resources = new ResourceLint(live.Current, action => decisions.Allows(caller, action, resource: null));
                return ValueTask.FromResult<ImmutableArray<PolicyFinding>>(
                    [.. PolicyLint.Check(document, scope), .. resources.Check(document, scope, key), .. LockoutOf(caller, document, scope, name, key)]);
            },
            cancellationToken);

    /// <returns>Null: a service policy, or no key is named.</returns>
    private Key? KeyAt(Caller caller, PolicyScope scope, string? name) =>
        scope == PolicyScope.Service || name is null ? null
        : live.Current.Keys.TryGet(name, out var key) ? key
        : throw decisions.UnknownKey(caller);

    private IEnumerable<PolicyFinding> LockoutOf(Caller caller, PolicyDocument document, PolicyScope scope, string? name, Key? key)
    {
        var basis = live.Current;
        if (scope == PolicyScope.Key && key is null)
            return [];
        var policy = new StoredPolicy
        {
            Scope = scope,
            Name = key?.Id ?? KeyName.Parse(name ?? "lint"),
            Document = document,
            ChangedAt = time.GetUtcNow(),
            ChangedBy = caller.Principal,
        };
        return PolicyLockout.Of(basis, caller, new PolicyPlace(scope, policy.Name, key), basis.Access.With(policy), policy.ChangedAt) is { } who
            ? [new PolicyFinding(PolicyFindingKind.LocksOut, "*", $"With it {who}: it is refused unless forced.")]
            : [];
    }

    /// <summary>A principal that is asked about; a credential brings its roles.</summary>
    public Caller Imagine(string principal, string? address)
    {
        var credential = live.Current.Credentials.Values.FirstOrDefault(c => string.Equals(c.Principal, principal, StringComparison.Ordinal));
        return new Caller(principal, credential?.Roles ?? [], address);
    }

    private (string? Resource, AccessFacts Facts) Resolve(PolicyQuestion question, Caller caller)
    {
        var snapshot = live.Current;
        var facts = new AccessFacts { Context = question.Context?.Fault is null ? question.Context : null, Bytes = question.Bytes, Count = question.Count };
        if (question.Resource?.Split('/', 2) is not [var kind, var name])
            return (question.Resource, facts);
        switch (kind)
        {
            case "key" when snapshot.Keys.TryGet(name, out var key) && key.State != KeyState.Deleted:
                return (null, facts with { Key = key });
            case "alias" when snapshot.Keys.TryGet(name, out var meant) && meant.Aliases.Contains(name):
                return (question.Resource, facts with { Key = meant });
            case "profile":
                var profile = snapshot.Profiles.GetValueOrDefault(name);
                return (question.Resource, facts with
                {
                    Key = profile is not null && snapshot.Keys.TryGet(profile.KeyId, out var signing) ? signing : null,
                    Token = new TokenWish(new TokenOrder(name, question.Token ?? new TokenRequest { Audiences = [] }), profile, caller),
                });
            default:
                return (question.Resource, facts);
        }
    }

    /// <summary>In the order in which a request meets them.</summary>
    private static PolicyVerdict VerdictOf(AccessExplanation explanation) =>
        !explanation.Allowed ? PolicyVerdict.Denied
        : explanation.Limits.Any(l => l.Available < 1) ? PolicyVerdict.OverLimit
        : explanation.Approvals.IsEmpty ? PolicyVerdict.Allowed
        : PolicyVerdict.NeedsApproval;

    /// <summary>What can be asked of a key or a profile that does not exist is that it be made.</summary>
    private static string? AbsenceOf(PolicyQuestion question, in AccessFacts facts) =>
        facts.Key is not null || question.Action is Actions.KeysCreate or Actions.ProfilesPut
        || question.Resource?.Split('/', 2) is not [var kind and ("key" or "profile"), var name] || name.AsSpan().ContainsAny('*', '?')
            ? null
            : $"There is no such {kind}.";

    private static string? Shortened(string? resource) =>
        resource is null || resource.Length <= KeyName.MaxLength * 2 ? resource : $"{resource.AsSpan(0, KeyName.MaxLength * 2)}…";
}
