using System.Text.Json;

namespace SignSvc.Signing.Tokens;

/// <summary>A payload to sign under a profile that allows it.</summary>
/// <param name="Payload">Any bytes.</param>
/// <param name="IsDetached">The answer leaves the payload out (RFC 7515 appendix F).</param>
public sealed record PayloadOrder(string Profile, ReadOnlyMemory<byte> Payload, bool IsDetached);

/// <summary>A JWS in compact serialization whose audit record is durable.</summary>
public sealed record SignedPayload(string Jws, string Kid, string AuditId);

/// <summary>A token as it would be signed.</summary>
public sealed record ExplainedToken(TokenProfile Profile, JsonElement Header, JsonElement Claims);
