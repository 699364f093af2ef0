using System.Diagnostics;

namespace SignSvc.Signing.Telemetry;

/// <summary>
/// The spans of one request: <c>signsvc.policy</c>, <c>signsvc.budget</c>, <c>signsvc.backend</c>, <c>signsvc.audit</c>.
/// Where nobody listens no span is made, which costs one comparison.
/// </summary>
public static class SigningSpans
{
    public const string SourceName = "SignSvc";

    public const string Policy = "signsvc.policy";
    public const string Budget = "signsvc.budget";
    public const string Backend = "signsvc.backend";
    public const string Audit = "signsvc.audit";

    private static readonly ActivitySource Source = new(SourceName);

    /// <returns>Null where nobody listens.</returns>
    public static Activity? Start(string name, ActivityKind kind = ActivityKind.Internal) =>
        Source.HasListeners() ? Source.StartActivity(name, kind) : null;

    /// <summary>A span that ended in a refusal says why by the refusal's stable code; words that name callers or data stay out.</summary>
    public static void Refused(this Activity? span, SigningException refusal)
    {
        if (span is null)
            return;
        var code = FaultCodes.Of(refusal.Fault);
        span.SetTag(Tags.ErrorType, code);
        span.SetStatus(ActivityStatusCode.Error, code);
    }
}
