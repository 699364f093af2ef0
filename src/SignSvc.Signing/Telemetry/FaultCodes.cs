using System.Text.Json;

namespace SignSvc.Signing.Telemetry;

/// <summary>The stable codes of faults, as problems have them, without making a string for each use.</summary>
public static class FaultCodes
{
    private static readonly string[] Codes =
        [.. Enum.GetValues<SigningFault>().Select(f => JsonNamingPolicy.KebabCaseLower.ConvertName(f.ToString()))];

    public static string Of(SigningFault fault) => Codes[(int)fault];
}

/// <summary>Attribute names: OpenTelemetry's own where it has one, else ours. Values are from bounded sets: key names, never digests, subjects or callers.</summary>
public static class Tags
{
    /// <summary>Of OpenTelemetry: the code of the fault; absent where all went well.</summary>
    public const string ErrorType = "error.type";

    public const string Action = "signsvc.action";
    public const string Outcome = "signsvc.outcome";
    public const string KeyName = "signsvc.key.name";
    public const string Tier = "signsvc.tier";
    public const string Backend = "signsvc.backend";
    public const string BackendRequestId = "signsvc.backend.request_id";
    public const string Budget = "signsvc.budget";
    public const string Limit = "signsvc.limit";
    public const string Retry = "signsvc.retry";
    public const string AuditId = "signsvc.audit.id";
}
