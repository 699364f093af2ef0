using BenchmarkDotNet.Attributes;
using SignSvc.Signing.Access;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Telemetry.Usage;

namespace SignSvc.Benchmarks;

/// <summary>What watching a caller adds to a request.</summary>
public class UsageParts
{
    private const int Callers = 1000;

    private readonly UsageWatch _watch = new(new UsageLimits(), TimeProvider.System);
    private readonly AuditRecord[] _records = [.. Enumerable.Range(0, Callers).Select(i => Record($"credential:caller-{i}", "192.0.2.1", detail: null))];
    private readonly AuditRecord _byGrant = Record("credential:ci", "192.0.2.1", "allowed by grant/0198c2f0-1111-7222-8333-444455556666");
    private int _at;

    [Benchmark(Description = "one of 1,000 callers, from where it always comes")]
    public void OneOfMany() => _watch.Note(_records[_at = (_at + 1) % Callers]);

    [Benchmark(Description = "by a grant")]
    public void ByGrant() => _watch.Note(_byGrant);

    private static AuditRecord Record(string caller, string address, string? detail) => new()
    {
        At = TimeProvider.System.GetUtcNow(),
        Caller = caller,
        Action = Actions.TokensIssue,
        Outcome = AuditOutcome.Allowed,
        Address = address,
        Detail = detail,
    };
}
