using System.Collections.Frozen;
using System.Collections.Immutable;

namespace SignSvc.Signing.Access;

/// <summary>Who asks, as authentication settled it.</summary>
/// <param name="Principal">
/// The caller's lasting name in policies and in the audit, its kind before the first colon: <c>credential:ci</c>,
/// <c>oidc:github:repo:acme/app:ref:refs/heads/main</c> (issuer's name, then <c>sub</c>), <c>spiffe://acme/ns/ci</c>,
/// <c>certificate:CN=ci</c>.
/// </param>
/// <param name="Address">The peer's IP address; null on a Unix socket.</param>
/// <param name="TraceId">W3C trace id of the request, for the audit.</param>
public sealed record Caller(string Principal, ImmutableArray<Role> Roles, string? Address = null, string? TraceId = null)
{
    /// <summary>The service itself, at start and in scheduled work.</summary>
    public static readonly Caller Service = new("service", [Role.Admin]);

    /// <summary>
    /// What authentication vouches for beside the principal, for policy conditions on <c>caller.*</c>. Names are as the
    /// token has them, nested ones joined with dots; an array has several values; numbers and booleans are JSON text.
    /// </summary>
    public FrozenDictionary<string, ImmutableArray<string>> Claims { get; init; } = FrozenDictionary<string, ImmutableArray<string>>.Empty;

    /// <summary>The person that the settings name for this principal; null: none.</summary>
    public string? KnownAs { get; init; }

    /// <summary>
    /// Who that is, however they came: of approvals one person gives one. As the settings say, or the verified
    /// <c>email</c> claim, or the principal itself. Two writings of one address are one person: see <see cref="PersonName"/>.
    /// </summary>
    public string Person =>
        PersonName.Of(KnownAs)
        ?? (Claims.TryGetValue("email", out var email) && email is [{ } address] && !(Claims.TryGetValue("email_verified", out var verified) && verified is ["false"])
            ? PersonName.Of(address)
            : null)
        ?? Principal;

    /// <summary>The name behind the principal's kind: <c>ci</c> of <c>credential:ci</c>. A SPIFFE id is a name as a whole.</summary>
    public string Name => Principal.StartsWith("spiffe://", StringComparison.Ordinal) ? Principal : Principal[(Principal.IndexOf(':', StringComparison.Ordinal) + 1)..];
}
