using System.IdentityModel.Tokens.Jwt;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace SignSvc.Clients.Tests.Tokens;

/// <summary>Microsoft.IdentityModel's two handlers: the older System.IdentityModel.Tokens.Jwt and the one ASP.NET Core uses.</summary>
internal static class DotNetVerifiers
{
    public static async Task<IReadOnlyList<Verdict>> JudgeAsync(Trust trust, string keySet, IReadOnlyList<Candidate> candidates)
    {
        var rules = new TokenValidationParameters
        {
            ValidIssuer = trust.Issuer,
            ValidAudience = trust.Audience,
            ValidAlgorithms = trust.Algorithms,
            ValidTypes = ["at+jwt"],
            IssuerSigningKeys = new JsonWebKeySet(keySet).GetSigningKeys(),
            RequireSignedTokens = true,
        };
        var older = new JwtSecurityTokenHandler { MapInboundClaims = false };
        var newer = new JsonWebTokenHandler();
        var verdicts = new List<Verdict>();
        foreach (var candidate in candidates)
        {
            verdicts.Add(Verdict.Of("JwtSecurityTokenHandler", candidate, await older.ValidateTokenAsync(candidate.Token, rules)));
            verdicts.Add(Verdict.Of("JsonWebTokenHandler", candidate, await newer.ValidateTokenAsync(candidate.Token, rules)));
        }

        return verdicts;
    }
}

/// <summary>What a verifier is told to trust.</summary>
/// <param name="Algorithms">The allow-list (RFC 8725 section 3.1), as the service's metadata has it.</param>
internal sealed record Trust(string Issuer, string Audience, IReadOnlyList<string> Algorithms);

/// <summary>A token that is put before every verifier.</summary>
internal sealed record Candidate(string Id, string Token);

/// <param name="Subject">The claim <c>sub</c> of a token that was accepted.</param>
/// <param name="Reason">The verifier's words where it refused.</param>
internal sealed record Verdict(string Verifier, string Id, bool Accepted, string? Subject = null, string? Reason = null)
{
    public static Verdict Of(string verifier, Candidate candidate, TokenValidationResult result) => result.IsValid
        ? new Verdict(verifier, candidate.Id, Accepted: true, Subject: (string?)result.Claims["sub"])
        : new Verdict(verifier, candidate.Id, Accepted: false, Reason: result.Exception?.Message);
}
