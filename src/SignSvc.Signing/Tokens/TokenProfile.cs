using System.Collections.Immutable;

namespace SignSvc.Signing.Tokens;

/// <summary>What tokens a caller may get.</summary>
public sealed record TokenProfile
{
    /// <summary>See <see cref="Keys.KeyName"/>.</summary>
    public required string Name { get; init; }

    /// <summary>The claim <c>iss</c>, an absolute URL; null: the service's own public URL.</summary>
    public string? Issuer { get; init; }

    /// <summary>Id of the key that signs; its purpose is <c>tokens</c>.</summary>
    public required string KeyId { get; init; }

    /// <summary>Audiences that may be asked for; <c>*</c> at the end of one stands for any rest. The first without <c>*</c> is the default.</summary>
    public required ImmutableArray<string> Audiences { get; init; }

    public required int DefaultLifetimeSeconds { get; init; }

    public required int MaxLifetimeSeconds { get; init; }

    /// <summary>The header <c>typ</c>: <c>at+jwt</c> (RFC 9068 section 2.1).</summary>
    public string Type { get; init; } = "at+jwt";

    public bool AllowsAudience(string audience) => Audiences.Any(allowed =>
        allowed.EndsWith('*')
            ? audience.AsSpan().StartsWith(allowed.AsSpan(0, allowed.Length - 1), StringComparison.Ordinal)
            : string.Equals(allowed, audience, StringComparison.Ordinal));

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, naming the first thing that is wrong.</exception>
    public void Check()
    {
        Keys.KeyName.Parse(Name);
        Require(
            Issuer is null || (Uri.TryCreate(Issuer, UriKind.Absolute, out var uri)
                && uri.Scheme is "https" or "http" && Issuer.Length <= 512 && uri is { Query: "", Fragment: "" }),
            "The issuer must be an absolute http or https URL without query and fragment (RFC 8414 section 2).");
        Require(Audiences is { IsDefaultOrEmpty: false, Length: <= 64 }, "A profile allows from 1 to 64 audiences.");
        Require(Audiences.All(a => a is { Length: > 0 and <= TokenRequest.MaxTextLength }), "An audience has from 1 to 255 characters.");
        Require(MaxLifetimeSeconds is >= 1 and <= 86_400, "maxLifetimeSeconds is from 1 to 86400.");
        Require(DefaultLifetimeSeconds >= 1 && DefaultLifetimeSeconds <= MaxLifetimeSeconds, "defaultLifetimeSeconds is from 1 to maxLifetimeSeconds.");
        Require(Type is "at+jwt" or "JWT", "type is at+jwt or JWT.");
    }

    private static void Require(bool holds, string message)
    {
        if (!holds)
            throw new SigningException(SigningFault.InvalidRequest, message);
    }
}
