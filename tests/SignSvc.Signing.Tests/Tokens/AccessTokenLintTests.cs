using System.Buffers.Text;
using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using SignSvc.Signing.Access;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing.Tests.Tokens;

/// <summary>Promise 15: whatever profiles and callers wish, what would be signed is an RFC 9068 access token, or nothing.</summary>
public sealed class AccessTokenLintTests
{
    private const int Cases = 10_000;

    private static readonly DateTimeOffset Now = new(2026, 3, 4, 5, 6, 7, 89, TimeSpan.Zero);

    private static readonly string[] Texts =
        ["", "a", "https://api.example/", "api://x", "\u00e4\u6f22\ud83d\ude00", "a b", "{caller}", "{x", "}}", "\"quoted\"", "a\\b", "scope", "0", new string('x', 255), new string('x', 256)];

    private static readonly string[] Names =
        ["env", "scope", "sub", "iss", "aud", "exp", "jti", "client_id", "cnf", "act", "nbf", "auth_time", "acr", "amr", "azp", "may_act", "roles", "", "x.y", "a\u0000b"];

    private static readonly string[] Templates =
        ["\"{caller}\"", "\"{caller.principal}\"", "\"{caller.repository}\"", "\"{caller.repository?}\"", "\"{caller.groups?}\"", "\"{request.claims.env}\"",
         "\"{request.claims.env?}\"", "\"{request.audience}\"", "\"{request.scope?}\"", "\"{subject.email?}\"", "\"x-{caller}-y\"", "\"{{{caller}}}\"", "\"{nobody}\"",
         "5", "null", "true", "[\"{caller}\",1]", "{\"a\":{\"b\":\"{caller?}\"}}", "\"{\"", "1e3"];

    private static readonly string[] Values = ["1", "-1.5", "1e400", "true", "null", "\"\"", "\"prod\"", "\"a  b\"", "[]", "[\"a\"]", "[1]", "{}", "{\"sub\":\"x\"}", "\"\\u0000\""];

    [Fact]
    public void Ten_thousand_tokens_of_random_profiles_and_requests_keep_RFC_9068_and_the_rest_is_refused()
    {
        var random = new Random(9068);
        var issuing = new TokenIssuing("https://issuer.example");
        var (issued, refused) = (0, 0);
        for (var i = 0; issued < Cases && i < 20 * Cases; i++)
        {
            string token;
            TokenProfile profile;
            try
            {
                profile = RandomProfile(random);
                profile.Check();
                var claims = issuing.Settle(RandomCaller(random), profile, RandomRequest(random), Now);
                token = Encoding.ASCII.GetString(TokenWriter.WriteSigningInput(profile.Type, SigningAlgorithm.ES256, "kid", claims));
            }
            catch (Exception e) when (e is SigningException { Fault: SigningFault.InvalidRequest } or JsonException)
            {
                refused++;
                continue;
            }

            issued++;
            Assert.True(Rfc9068.Fault(token, profile, Now) is null, $"case {i}: {Rfc9068.Fault(token, profile, Now)} in {token}");
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{issued} issued, {refused} refused");
        Assert.Equal(Cases, issued);
        // Else the wishes were too tame to show anything.
        Assert.InRange(refused, Cases / 10, 19 * Cases);
    }

    private static TokenProfile RandomProfile(Random random) => new()
    {
        Name = "p",
        KeyId = "k",
        Issuer = Rarely(random) ? Pick(random, "ftp://x", "https://x/?q", "https://other.example/x") : Pick(random, null, "ci"),
        Audiences = ["*", .. Many(random, 1, 2, () => Rarely(random) ? Pick(random, Texts) : Pick(random, "api://*", "https://api.example/", "a"))],
        DefaultLifetimeSeconds = Rarely(random) ? Pick(random, 1, 3600, 0) : 300,
        MaxLifetimeSeconds = Rarely(random) ? Pick(random, 86_400, 1) : 3600,
        Subject = Rarely(random) ? Pick(random, "{request.subject}", "{request.subject?}", "fixed") : Pick(random, null, "{caller}", "repo:{caller.repository?}"),
        Claims = RandomMap(random, 2, () => Json(Rarely(random) ? Pick(random, Templates) : Pick(random, Templates.AsSpan(0, 5)))),
        CallerClaims = Rarely(random) ? RandomMap(random, 2, () => RandomRule(random)) : null,
        RequiredClaims = Rarely(random) ? [Pick(random, "env", "sub", "aud", "scope")] : [],
        Lint = Rarely(random) ? RandomMap(random, 1, () => RandomRule(random)) : ImmutableSortedDictionary<string, ClaimRule>.Empty,
        Scopes = ["read", "write"],
    };

    private static ClaimRule RandomRule(Random random) => new(
        Pick(random, Enum.GetValues<ClaimType>()), Pick(random, null, null, "[a-z]+", ".*", "(a", "(?=x)"), Forbidden: Rarely(random) && Rarely(random));

    private static Caller RandomCaller(Random random) => new($"credential:{Pick(random, "ci", "bootstrap")}", [Role.Signer])
    {
        Claims = new Dictionary<string, ImmutableArray<string>>(StringComparer.Ordinal)
        {
            ["repository"] = ["acme/app"],
            ["groups"] = [.. Many(random, 0, 2, () => Pick(random, Texts))],
        }.ToFrozenDictionary(StringComparer.Ordinal),
    };

    private static TokenRequest RandomRequest(Random random)
    {
        if (random.Next(3) == 0)
        {
            var grant = new TokenGrant(
                TokenGrant.TokenExchange,
                Pick(random, null, "read", "read write"),
                Pick<(string, string)?>(random, null, ("jkt", "x"), ("x5t#S256", "y")),
                random.Next(2) == 0 ? Json("""{"sub":"ci"}""") : null,
                random.Next(2) == 0 ? Json("""{"sub":"s","email":"a@b"}""") : null,
                Rarely(random) ? Now.AddSeconds(-1) : Pick<DateTimeOffset?>(random, null, Now.AddSeconds(60)));
            return TokenRequest.Of(grant, Rarely(random) ? Pick(random, Texts) : Pick(random, null, "s"), [.. Many(random, 0, 2, () => Pick(random, "api://x", "a"))]);
        }

        var claims = string.Join(',', Many(random, 0, 2, () => $"{JsonSerializer.Serialize(Rarely(random) ? Pick(random, Names) : Pick(random, "env", "x", "y"))}:{Pick(random, Values)}").Distinct(StringComparer.Ordinal));
        return TokenRequest.Parse(
            Rarely(random) ? Pick(random, Texts) : Pick(random, null, "build-42"),
            Rarely(random) ? null : Json(Rarely(random) ? JsonSerializer.Serialize(Pick(random, Texts)) : Pick(random, "\"api://x\"", "\"a\"", "[\"a\",\"api://x\"]")),
            Rarely(random) ? Pick<int?>(random, 0, -1, 3600) : Pick<int?>(random, null, 60),
            Json($"{{{claims}}}"));
    }

    private static ImmutableSortedDictionary<string, T> RandomMap<T>(Random random, int most, Func<T> value) =>
        Many(random, 0, most, () => Rarely(random) ? Pick(random, Names) : Pick(random, "env", "roles", "team"))
            .Distinct(StringComparer.Ordinal)
            .ToImmutableSortedDictionary(n => n, _ => value(), StringComparer.Ordinal);

    private static List<T> Many<T>(Random random, int least, int most, Func<T> one) =>
        [.. Enumerable.Range(0, random.Next(least, most + 1)).Select(_ => one())];

    private static bool Rarely(Random random) => random.Next(5) == 0;

    private static T Pick<T>(Random random, params ReadOnlySpan<T> choices) => choices[random.Next(choices.Length)];

    /// <summary>As strict as the service reads it.</summary>
    private static JsonElement Json(string text)
    {
        using var json = JsonDocument.Parse(text, new JsonDocumentOptions { AllowDuplicateProperties = false });
        return json.RootElement.Clone();
    }
}

/// <summary>RFC 9068 sections 2.1 and 2.2 over a token's text, written from the RFC and not from the service.</summary>
internal static class Rfc9068
{
    /// <returns>The rule that is broken; null: none.</returns>
    public static string? Fault(string token, TokenProfile profile, DateTimeOffset now)
    {
        var parts = token.Split('.');
        var header = Read(parts[0]);
        if (header.GetProperty("typ").GetString() is not ("at+jwt" or "application/at+jwt"))
            return "typ";
        if (header.GetProperty("alg").GetString() is null or "none")
            return "alg";
        var claims = Read(parts[1]);
        foreach (var name in (string[])["iss", "exp", "aud", "sub", "client_id", "iat", "jti"])
        {
            if (!claims.TryGetProperty(name, out _))
                return $"{name} is missing";
        }

        foreach (var name in (string[])["iss", "sub", "client_id", "jti"])
        {
            if (claims.GetProperty(name).ValueKind != JsonValueKind.String || claims.GetProperty(name).GetString()!.Length == 0)
                return $"{name} is no text";
        }

        if (!Uri.TryCreate(claims.GetProperty("iss").GetString(), UriKind.Absolute, out var issuer) || issuer.Query.Length > 0 || issuer.Fragment.Length > 0)
            return "iss is no issuer";
        if (!IsAudience(claims.GetProperty("aud")))
            return "aud";
        var (iat, exp) = (claims.GetProperty("iat").GetInt64(), claims.GetProperty("exp").GetInt64());
        if (iat != now.ToUnixTimeSeconds() || exp <= iat || exp - iat > profile.MaxLifetimeSeconds)
            return "iat and exp";
        // RFC 6749 section 3.3, RFC 9068 section 2.2.3.
        if (claims.TryGetProperty("scope", out var scope)
            && (scope.ValueKind != JsonValueKind.String || scope.GetString()!.Split(' ').Any(s => s.Length == 0 || s.Any(c => c is < '!' or '"' or '\\' or > '~'))))
        {
            return "scope";
        }

        if (claims.TryGetProperty("auth_time", out var at) && at.ValueKind != JsonValueKind.Number)
            return "auth_time";
        if (claims.TryGetProperty("acr", out var acr) && acr.ValueKind != JsonValueKind.String)
            return "acr";
        if (claims.TryGetProperty("amr", out var amr) && (amr.ValueKind != JsonValueKind.Array || amr.EnumerateArray().Any(m => m.ValueKind != JsonValueKind.String)))
            return "amr";
        return claims.TryGetProperty("cnf", out var cnf) && cnf.ValueKind != JsonValueKind.Object ? "cnf" : null;
    }

    private static bool IsAudience(JsonElement aud) => aud.ValueKind switch
    {
        JsonValueKind.String => aud.GetString()!.Length > 0,
        JsonValueKind.Array => aud.GetArrayLength() > 0 && aud.EnumerateArray().All(a => a.ValueKind == JsonValueKind.String && a.GetString()!.Length > 0),
        _ => false,
    };

    /// <summary>RFC 7519 section 4: a claim name is there once.</summary>
    private static JsonElement Read(string part)
    {
        using var json = JsonDocument.Parse(Base64Url.DecodeFromChars(part), new JsonDocumentOptions { AllowDuplicateProperties = false });
        return json.RootElement.Clone();
    }
}
