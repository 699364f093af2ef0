using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Http;
using SignSvc.Signing;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Limits;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Tokens;

namespace SignSvc.Access;

/// <summary>The token that would be asked for.</summary>
public sealed record PolicyQuestionToken(
    string? Subject = null, JsonElement? Audience = null, int? LifetimeSeconds = null, JsonElement? Claims = null);

/// <param name="Action"><c>keys:Sign</c>, …</param>
/// <param name="Resource"><c>key/release</c>, <c>profile/default</c>, …; default: all of the action's kind.</param>
/// <param name="Principal">Default: the caller, as it came. For another one <c>policies:Read</c> is needed.</param>
/// <param name="Claims">What authentication would vouch for: a name and its values. Only with <paramref name="Principal"/>.</param>
/// <param name="Roles">Only with <paramref name="Principal"/>; default: a credential's own.</param>
/// <param name="Address">Only with <paramref name="Principal"/>.</param>
/// <param name="Time">Default: now.</param>
public sealed record PolicyQuestionBody(
    string Action, string? Resource = null, string? Principal = null, Dictionary<string, ImmutableArray<string>>? Claims = null,
    ImmutableArray<Role>? Roles = null, string? Address = null, DateTimeOffset? Time = null, SigningContext? Context = null,
    PolicyQuestionToken? Token = null, long? Bytes = null, int? Count = null);

/// <param name="Allowed">By roles, policies and grants.</param>
/// <param name="Verdict">With limits and rules of approval: <c>allowed</c>, <c>denied</c>, <c>overLimit</c>, <c>needsApproval</c>; <c>notFound</c> for who may list keys.</param>
/// <param name="By">What decided: <c>role:signer</c>, <c>policy/ci#main-only</c>, <c>key/ID#ci</c>, <c>grant/ID</c>.</param>
/// <param name="Missing">Facts that conditions asked for and did not find.</param>
/// <param name="Statements">Every statement about this principal, action and resource. Null, like all reasons, for who may not read policies.</param>
/// <param name="Limits">What limits leave on the node that answers, for each that the request falls under.</param>
/// <param name="Approvals">What rules ask for beside: the request is answered 202 until it has them.</param>
public sealed record PolicyExplanation(
    bool Allowed, PolicyVerdict Verdict, string? By, string? Reason, ImmutableArray<string>? Missing, ImmutableArray<StatementExplanation>? Statements,
    ImmutableArray<LimitStanding>? Limits = null, ImmutableArray<ApprovalNeed>? Approvals = null)
{
    public static PolicyExplanation Of(AccessExplanation e) =>
        e.IsOpaque ? new(e.Allowed, e.Verdict, null, null, null, null) : new(e.Allowed, e.Verdict, e.By, e.Reason, e.Missing, e.Statements, e.Limits, e.Approvals);
}

/// <param name="Document">As it would be stored: a document in AWS's form is translated.</param>
public sealed record LintAnswer(PolicyDocument Document, ImmutableArray<PolicyFinding> Findings);

/// <summary><c>/v1/policy/explain</c> and <c>/v1/policy/lint</c>: what would be, without doing it.</summary>
public static class PolicyQuestionEndpoints
{
    public static void MapPolicyQuestions(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/policy").WithTags("Policies").WithProblems();
        group.MapPost("/explain", ExplainAsync).WithName("ExplainPolicy");
        group.MapPost("/lint", LintAsync).WithName("LintPolicy");
    }

    private static async Task<Ok<PolicyExplanation>> ExplainAsync(
        HttpContext http, PolicyQuestionBody body, PolicyQuestions questions, CancellationToken cancellationToken)
    {
        var question = new PolicyQuestion
        {
            Action = body.Action,
            Resource = body.Resource,
            Caller = CallerOf(body, questions),
            At = body.Time,
            Context = body.Context,
            Token = body.Token is { } t ? TokenRequest.Parse(t.Subject, t.Audience, t.LifetimeSeconds, t.Claims) : null,
            Bytes = body.Bytes,
            Count = body.Count,
        };
        return TypedResults.Ok(PolicyExplanation.Of(await questions.ExplainAsync(http.Caller(), question, cancellationToken)));
    }

    /// <param name="scope"><c>service</c> (default) or <c>key</c>: where it is meant to stand.</param>
    /// <param name="name">Of the policy or the key; without it a lockout is seen for a new service policy alone.</param>
    private static async Task<Ok<LintAnswer>> LintAsync(
        HttpContext http, PolicyDocument document, PolicyQuestions questions, CancellationToken cancellationToken,
        string? scope = null, string? name = null)
    {
        var place = Query.Enum<PolicyScope>("scope", scope) ?? PolicyScope.Service;
        return TypedResults.Ok(new LintAnswer(document, await questions.LintAsync(http.Caller(), document, place, name, cancellationToken)));
    }

    private static Caller? CallerOf(PolicyQuestionBody body, PolicyQuestions questions)
    {
        if (body.Principal is null)
        {
            return body.Claims is null && body.Roles is null && body.Address is null
                ? null
                : throw new SigningException(SigningFault.InvalidRequest, "claims, roles and address go with a principal.");
        }

        if (body.Principal.Length is 0 or > PolicyStatement.MaxTextLength || body.Principal.Any(char.IsControl))
            throw new SigningException(SigningFault.InvalidRequest, $"principal has from 1 to {PolicyStatement.MaxTextLength} characters.");
        var caller = questions.Imagine(body.Principal, body.Address);
        return caller with
        {
            Roles = body.Roles is { IsDefault: false } roles ? roles : caller.Roles,
            Claims = (body.Claims ?? []).ToFrozenDictionary(c => c.Key, c => c.Value.IsDefault ? [] : c.Value, StringComparer.Ordinal),
        };
    }
}
