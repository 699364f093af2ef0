using System.Text.Json;

namespace SignSvc.Cli.Policies;

internal sealed record FindingAnswer(string Kind, string Statement, string Message);

/// <param name="Name">Null: a key's policy.</param>
internal sealed record PolicyAnswer(
    JsonElement Document, string? Name = null, string? Key = null, DateTimeOffset? ChangedAt = null, string? ChangedBy = null, FindingAnswer[]? Findings = null);

internal sealed record PolicyList(PolicyAnswer[] Policies, PolicyAnswer[] BuiltIn);

internal sealed record LintAnswer(JsonElement Document, FindingAnswer[] Findings);

internal sealed record FailingConditionAnswer(string Operator, string Fact, string[] Values, string[] Actual);

internal sealed record StatementAnswer(string Name, string Effect, bool Applies, FailingConditionAnswer[] Failing);

internal sealed record LimitAnswer(string Per, double? PerSecond, int? Burst, int? Uses, int? PeriodSeconds);

/// <param name="Available">Requests that may come now, at the node that answered.</param>
internal sealed record LimitStandingAnswer(string Name, LimitAnswer Limit, int Available);

internal sealed record ApprovalNeedAnswer(string Rule, int Required);

/// <param name="Verdict">With limits and rules of approval; null: an older service does not say.</param>
internal sealed record ExplainAnswer(
    bool Allowed, string? Verdict, string? By, string? Reason, string[]? Missing, StatementAnswer[]? Statements, LimitStandingAnswer[]? Limits = null,
    ApprovalNeedAnswer[]? Approvals = null);

internal sealed record PolicyTestReport(int Passed, PolicyTestFailure[] Failures);

/// <param name="Why">What the service says of it.</param>
internal sealed record PolicyTestFailure(string Test, string Expected, string Actual, string? Why);
