using System.Collections.Immutable;
using System.Text;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using SignSvc.Operations;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Access.Issuers;

/// <summary>One configured issuer: its keys, and the rules that its tokens are held against.</summary>
internal sealed class TrustedIssuer : IDisposable
{
    /// <summary>In characters: it becomes part of a principal.</summary>
    private const int MaxSubjectLength = 255;

    private static readonly JsonWebTokenHandler Handler = new() { MapInboundClaims = false, MaximumTokenSizeInBytes = CompactJws.MaxLength };

    private readonly IssuerSettings _settings;
    private readonly TimeProvider _time;
    private readonly ImmutableArray<SigningAlgorithm> _algorithms;
    private readonly ImmutableArray<string> _types;
    private readonly ImmutableArray<string> _required;
    private readonly TokenValidationParameters _rules;

    public TrustedIssuer(IssuerSettings settings, TimeProvider time, ILogger log)
    {
        _settings = settings;
        _time = time;
        Url = IssuerPresets.IssuerOf(settings);
        Keys = new IssuerKeys(settings, time, log);
        var preset = IssuerPresets.Of(settings.Preset);
        _algorithms = settings.Algorithms.Count > 0
            ? [.. settings.Algorithms.Select(SigningAlgorithm.Parse)]
            : [SigningAlgorithm.RS256, SigningAlgorithm.ES256];
        _types = settings.Typ.Count > 0 ? [.. settings.Typ.Select(t => t.ToLowerInvariant())] : preset.Types;
        _required = preset.Required;
        _rules = new TokenValidationParameters
        {
            ValidIssuer = Url,
            ValidAudiences = IssuerPresets.AudiencesOf(settings),
            IgnoreTrailingSlashWhenValidatingAudience = false,
            ValidAlgorithms = [.. _algorithms.Select(a => a.Name)],
            RequireSignedTokens = true,
            RequireExpirationTime = true,
            LifetimeValidator = (notBefore, expires, _, _) => IsInTime(notBefore, expires),
            LogValidationExceptions = false,
        };
    }

    public string Name => _settings.Name;

    public string Url { get; }

    public IssuerKeys Keys { get; }

    /// <summary>Of its settings: another issuer with the same one is the same.</summary>
    public string Fingerprint => FlatSettings.TextOf(_settings);

    public void Dispose() => Keys.Dispose();

    /// <summary>
    /// Cheap refusals first, then the signature, then everything once more by the library: neither alone lets anybody in.
    /// </summary>
    public async ValueTask<(TokenVerdict Verdict, IssuerKey? Key)> VerifyAsync(
        CompactJws token, CancellationToken cancellationToken)
    {
        if (!SigningAlgorithm.TryParse(token.Algorithm, out var algorithm) || !_algorithms.Contains(algorithm))
            return Refused("its algorithm is not allowed");
        if (!_types.Contains(token.Type ?? IssuerPresets.Absent, StringComparer.Ordinal))
            return Refused("its typ is not allowed");
        if (await Keys.FindAsync(token.Kid, algorithm, cancellationToken) is not { } key)
            return Refused(Keys.Current is null ? "the issuer's keys are not known" : "the issuer shows no key for its kid and algorithm");
        if (!key.Verifies(token, algorithm))
            return Refused("its signature is wrong");

        var rules = _rules.Clone();
        rules.IssuerSigningKey = key.SecurityKey;
        var result = await Handler.ValidateTokenAsync(token.Compact, rules);
        if (!result.IsValid)
            return Refused(Why(result.Exception));
        return (Settle(token, (JsonWebToken)result.SecurityToken), key);
    }

    private TokenVerdict Settle(CompactJws token, JsonWebToken read)
    {
        var now = _time.GetUtcNow();
        var skew = TimeSpan.FromSeconds(_settings.ClockSkewSeconds);
        var expires = new DateTimeOffset(read.ValidTo, TimeSpan.Zero);
        if (expires > now + TimeSpan.FromSeconds(_settings.MaxLifetimeSeconds) + skew)
            return TokenVerdict.Refused("it lives longer than MaxLifetimeSeconds");
        if (read.TryGetPayloadValue<long>(JwtRegisteredClaimNames.Iat, out _) && new DateTimeOffset(read.IssuedAt, TimeSpan.Zero) > now + skew)
            return TokenVerdict.Refused("it was issued in the future");
        if (token.Text("sub") is not { } subject || !CanBeNamed(subject))
            return TokenVerdict.Refused($"it has no sub of 1 to {MaxSubjectLength} visible characters");
        if (TokenClaims.TryFlatten(token.Claims) is not { } claims)
            return TokenVerdict.Refused("its claims are too many, or two have one name");
        if (_required.FirstOrDefault(r => !claims.ContainsKey(r)) is { } missing)
            return TokenVerdict.Refused($"it lacks the claim {missing}");
        if (_settings.Require.FirstOrDefault(c => !c.Holds(claims)) is { } unmet)
            return TokenVerdict.Refused($"its claim {unmet.Claim} is not as required");

        var roles = _settings.Roles.Where(m => m.When.All(c => c.Holds(claims))).Select(m => m.Role).Distinct().ToImmutableArray();
        return TokenVerdict.Good(new VerifiedToken(
            Name, Url, subject, claims, Encoding.UTF8.GetString(token.Payload.Span), expires, string.IsNullOrEmpty(read.Id) ? null : read.Id, roles));
    }

    private bool IsInTime(DateTime? notBefore, DateTime? expires)
    {
        var now = _time.GetUtcNow().UtcDateTime;
        var skew = TimeSpan.FromSeconds(_settings.ClockSkewSeconds);
        return expires is not null && now < expires + skew && (notBefore is null || notBefore <= now + skew);
    }

    /// <summary>It stands in principals, logs and the audit: no control or invisible characters that make two names look alike.</summary>
    private static bool CanBeNamed(string subject) =>
        subject.Length is > 0 and <= MaxSubjectLength && !subject.Any(c => char.IsControl(c) || char.IsSurrogate(c) || char.GetUnicodeCategory(c) == System.Globalization.UnicodeCategory.Format);

    private static string Why(Exception? e) => e switch
    {
        SecurityTokenInvalidAudienceException => "its aud is not for this service",
        SecurityTokenInvalidLifetimeException or SecurityTokenExpiredException or SecurityTokenNoExpirationException => "it has expired, is not yet valid, or has no exp",
        SecurityTokenInvalidIssuerException => "its iss is another",
        _ => "the library refuses it",
    };

    private static (TokenVerdict, IssuerKey?) Refused(string why) => (TokenVerdict.Refused(why), null);
}
