using System.Text.Json.Serialization;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Audit;

public enum AuditOutcome
{
    /// <summary>It was permitted and done. For a signature: it was made, and leaves only after this record is durable.</summary>
    Allowed,

    /// <summary>It was refused.</summary>
    Denied,

    /// <summary>It was permitted and did not succeed.</summary>
    Failed,
}

/// <summary>One decision. What is null does not apply. Never holds a secret, a message or a token.</summary>
public sealed record AuditRecord
{
    /// <summary><c>node-sequence</c>; given by the log when the record is durable, so it is null in the stored text.</summary>
    public string? AuditId { get; init; }

    public required DateTimeOffset At { get; init; }

    /// <summary>See <see cref="Access.Caller.Principal"/>; <c>unknown</c> where nobody was authenticated.</summary>
    public required string Caller { get; init; }

    /// <summary>See <see cref="Access.Actions"/>.</summary>
    public required string Action { get; init; }

    public required AuditOutcome Outcome { get; init; }

    /// <summary>Why not, where the outcome is not allowed.</summary>
    public SigningFault? Fault { get; init; }

    /// <summary>What was asked for, in words: a fault's message, what was changed.</summary>
    public string? Detail { get; init; }

    /// <summary>What it was done to, if that is not a key: <c>profile/default</c>, <c>credential/ci</c>.</summary>
    public string? Resource { get; init; }

    public string? KeyId { get; init; }

    public string? KeyName { get; init; }

    public int? Version { get; init; }

    public string? Kid { get; init; }

    public SigningAlgorithm? Algorithm { get; init; }

    public Protection? Protection { get; init; }

    /// <summary>Standard base64 of the digest that was signed (artifacts only).</summary>
    public string? Digest { get; init; }

    public string? TokenId { get; init; }

    /// <summary>The OAuth 2 grant type that a token was asked for by; the caller is the client.</summary>
    public string? Grant { get; init; }

    public string? Subject { get; init; }

    public string? Audience { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    public SigningContext? Context { get; init; }

    /// <summary>The backend's own name for its call.</summary>
    public string? BackendRequestId { get; init; }

    public string? Address { get; init; }

    /// <summary>W3C trace id, 32 hex digits.</summary>
    public string? TraceId { get; init; }

    /// <summary>A signature was made and released; it counts as a use of its version.</summary>
    [JsonIgnore]
    public bool IsSignature =>
        Outcome == AuditOutcome.Allowed && Action is (Access.Actions.KeysSign or Access.Actions.TokensIssue or Access.Actions.TokensSignPayload or Access.Actions.TokensSignServiceAccount);
}
