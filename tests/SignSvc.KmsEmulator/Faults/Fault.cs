using System.Text.Json.Serialization;

namespace SignSvc.Emulation.Faults;

[JsonConverter(typeof(JsonStringEnumConverter<FaultKind>))]
public enum FaultKind
{
    /// <summary>ThrottlingException, HTTP 400.</summary>
    Throttle,

    /// <summary><see cref="Fault.Code"/> with <see cref="Fault.Status"/>.</summary>
    Error,

    /// <summary>
    /// No answer until the caller leaves, the script is cleared or <see cref="Fault.HangFor"/> has passed; then the
    /// connection is reset.
    /// </summary>
    Hang,

    /// <summary>The connection is reset (TCP RST).</summary>
    Reset,

    /// <summary>
    /// A well-formed answer that is wrong: signatures do not verify, plaintexts and public keys are others.
    /// </summary>
    WrongAnswer,

    /// <summary>HTTP 200 with an empty object; the operation is done.</summary>
    EmptyAnswer,
}

/// <summary>What shall go wrong, with which requests, and how often.</summary>
public sealed record Fault(FaultKind Kind)
{
    /// <summary>Null: every operation.</summary>
    public string? Operation { get; init; }

    /// <summary>Null: every Region.</summary>
    public string? Region { get; init; }

    /// <summary>Null: every account.</summary>
    public string? AccountId { get; init; }

    /// <summary>Id of the KMS key that the request names by id or ARN. Null: every key, and none.</summary>
    public string? KeyId { get; init; }

    /// <summary>Matching requests that pass before the fault begins.</summary>
    public int Skip { get; init; }

    /// <summary>Requests that it hits; null: until the script is cleared.</summary>
    public int? Times { get; init; }

    /// <summary>Share of the matching requests that it hits, 0 to 1.</summary>
    public double Probability { get; init; } = 1;

    /// <summary>The operation is done (a key is created, say) before its answer is lost.</summary>
    public bool AfterExecution { get; init; }

    public string Code { get; init; } = "KMSInternalException";

    public int Status { get; init; } = StatusCodes.Status500InternalServerError;

    public TimeSpan? HangFor { get; init; }

    public static Fault Throttle(string? operation = null) => new(FaultKind.Throttle) { Operation = operation };

    public static Fault Error(string? operation = null) => new(FaultKind.Error) { Operation = operation };

    public static Fault Hang(string? operation = null) => new(FaultKind.Hang) { Operation = operation };

    public static Fault Reset(string? operation = null) => new(FaultKind.Reset) { Operation = operation };

    public static Fault WrongAnswer(string? operation = null) => new(FaultKind.WrongAnswer) { Operation = operation };

    public static Fault EmptyAnswer(string? operation = null) => new(FaultKind.EmptyAnswer) { Operation = operation };
}
