using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Limits;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing.Tests.Access;

/// <summary>Policies and requests from a small vocabulary, so that about as many fit as do not.</summary>
internal sealed class RandomPolicies(int seed)
{
    public const string KeyId = "0198c0de-0000-7000-8000-000000000001";

    private static readonly string[] Texts = ["main", "dev", "Main", "refs/heads/main", "refs/heads/dev", "1", "10", "true", "", "x"];
    private static readonly string[] Patterns = ["main", "refs/*", "*main", "m?in", "*", "x", "?", "*a*n*", "MAIN", "re*s/*/m*"];
    private static readonly string[] Numbers = ["1", "10", "2.5", "1000", "-3", "1e2"];
    private static readonly string[] Times = ["2026-01-01T00:00:00Z", "2026-06-01", "2026-01-01T02:00:00+02:00", "1767225600"];
    private static readonly string[] Networks = ["10.0.0.0/8", "192.0.2.1", "0.0.0.0/0", "2001:db8::/32", "::/0", "192.0.2.0/24", "::ffff:0:0/96"];
    private static readonly string[] Addresses = ["10.1.2.3", "192.0.2.1", "192.0.2.77", "2001:db8::1", "::ffff:10.1.2.3", "fe80::1"];

    private static readonly string[] FactNames =
    [
        "caller.principal", "caller.ref", "caller.groups", "caller.level", "context.ref", "context.repository", "context.artifact.type",
        "token.profile", "token.audience", "token.lifetimeSeconds", "token.subject", "token.claims.env", "token.claims.a.b",
        "key.name", "key.id", "key.tier", "key.purpose", "key.spec", "key.owner", "key.protection", "key.tags.team",
        "request.time", "request.address", "request.bytes", "request.count",
    ];

    private static readonly string[] Operators =
    [
        "stringEquals", "stringNotEquals", "stringEqualsIgnoreCase", "stringNotEqualsIgnoreCase", "stringLike", "stringNotLike",
        "stringLikeIgnoreCase", "stringNotLikeIgnoreCase", "numericEquals", "numericNotEquals", "numericLessThan", "numericLessThanEquals",
        "numericGreaterThan", "numericGreaterThanEquals", "dateEquals", "dateNotEquals", "dateLessThan", "dateLessThanEquals", "dateGreaterThan",
        "dateGreaterThanEquals", "bool", "ipAddress", "notIpAddress", "exists", "null",
    ];

    private readonly Random _random = new(seed);

    public PolicyDocument Document(bool ofKey) => new([.. Enumerable.Range(0, _random.Next(1, 5)).Select(_ => Limited(Statement(ofKey)))]);

    public (AccessRequest Request, PlainRequest Plain) Request()
    {
        var facts = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        var at = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero).AddMonths(_random.Next(-6, 12));
        facts["request.time"] = [at.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture)];
        var caller = Caller(facts);
        var key = Maybe(0.8) ? Key(facts) : null;
        var action = Pick("keys:Sign", "keys:Sign", "keys:Read", "tokens:Issue", "policies:Put", "keys:List");
        var resource = Pick("profile/default", "policy/p1", "key/*", null, null);
        var bytes = Maybe(0.5) ? _random.Next(0, 20) : (int?)null;
        var count = Maybe(0.5) ? _random.Next(0, 20) : (int?)null;
        Note(facts, "request.bytes", bytes?.ToString(CultureInfo.InvariantCulture));
        Note(facts, "request.count", count?.ToString(CultureInfo.InvariantCulture));
        var request = new AccessRequest
        {
            Caller = caller,
            Action = action!,
            At = at,
            Resource = resource,
            Facts = new AccessFacts { Key = key, Context = Maybe(0.7) ? Context(facts) : null, Token = Maybe(0.6) ? Token(facts, caller) : default, Bytes = bytes, Count = count },
        };
        string[] names = [.. resource is null ? [] : new[] { resource }, .. key is null ? [] : new[] { $"key/{key.Name}", $"key/{key.Id}" }];
        // Only * speaks of what has no name.
        return (request, new PlainRequest(caller.Principal, caller.Roles, action!, names.Length == 0 ? [""] : names, facts));
    }

    /// <summary>Limits decide nothing, so that some among the statements change no decision.</summary>
    private PolicyStatement Limited(PolicyStatement statement) => Maybe(0.9) ? statement : statement with
    {
        Effect = PolicyEffect.Limit,
        Limit = new Limit { Per = (LimitShare)_random.Next(3), PerSecond = Maybe(0.7) ? _random.Next(1, 100) / 4.0 : null, Uses = _random.Next(1, 10), PeriodSeconds = 60 },
    };

    private PolicyStatement Statement(bool ofKey) => new()
    {
        Effect = Maybe(0.7) ? PolicyEffect.Allow : PolicyEffect.Deny,
        Principals = Some("*", "*", "credential:*", "credential:ci", "oidc:github:*", "spiffe://acme/*", "credential:?i"),
        Actions = Some("*", "keys:*", "keys:Sign", "tokens:*", "*:Put", "keys:?ead", "keys:Sign"),
        Resources = ofKey && Maybe(0.5) ? [] : Some("*", "*", "key/*", "key/release", $"key/{KeyId}", "key/re*", "profile/def*", "policy/p?", "alias/*"),
        Conditions = [.. Enumerable.Range(0, _random.Next(0, 4)).Select(_ => Condition()).DistinctBy(c => (c.Operator, c.Fact))],
    };

    private PolicyCondition Condition()
    {
        var name = Pick(Operators)!;
        ImmutableArray<string> values = name switch
        {
            "bool" or "exists" or "null" => [Pick("true", "false")!],
            _ when name.StartsWith("string", StringComparison.Ordinal) => Some(name.Contains("Like", StringComparison.Ordinal) ? Patterns : [.. Texts.Where(t => t.Length > 0), "assured", "software", "team-a"]),
            _ when name.StartsWith("numeric", StringComparison.Ordinal) => Some(Numbers),
            _ when name.StartsWith("date", StringComparison.Ordinal) => Some(Times),
            _ => Some(Networks),
        };
        var suited = name switch
        {
            _ when name.EndsWith("pAddress", StringComparison.Ordinal) && Maybe(0.8) => "request.address",
            _ when name.StartsWith("date", StringComparison.Ordinal) && Maybe(0.6) => "request.time",
            _ when name.StartsWith("numeric", StringComparison.Ordinal) && Maybe(0.7) => Pick("request.bytes", "request.count", "token.lifetimeSeconds", "caller.level")!,
            _ => Pick(FactNames)!,
        };
        var prefix = name is "exists" or "null" ? "" : Pick("", "", "forAnyValue:", "forAllValues:");
        return new PolicyCondition($"{prefix}{name}{(name is not ("exists" or "null") && Maybe(0.2) ? "IfExists" : "")}", suited, values);
    }

    private Caller Caller(Dictionary<string, List<string>> facts)
    {
        var principal = Pick("credential:ci", "credential:admin-a", "oidc:github:repo:acme/app:ref:refs/heads/main", "spiffe://acme/ns/ci")!;
        var claims = new Dictionary<string, ImmutableArray<string>>(StringComparer.Ordinal);
        foreach (var name in (string[])["ref", "groups", "level"])
        {
            var values = Enumerable.Range(0, _random.Next(0, 4)).Select(_ => Pick(Texts)!).ToImmutableArray();
            if (Maybe(0.8))
                claims[name] = values;
            facts[$"caller.{name}"] = claims.TryGetValue(name, out var kept) ? [.. kept] : [];
        }

        var address = Maybe(0.8) ? Pick(Addresses) : null;
        Note(facts, "request.address", address);
        facts["caller.principal"] = [principal];
        ImmutableArray<Role> roles = Maybe(0.3) ? [_random.GetItems(Enum.GetValues<Role>(), 1)[0]] : [];
        return new Caller(principal, roles, address) { Claims = claims.ToFrozenDictionary(StringComparer.Ordinal) };
    }

    private Key Key(Dictionary<string, List<string>> facts)
    {
        var owner = Maybe(0.5) ? Pick("team-a", "main") : null;
        var tags = Maybe(0.5) ? ImmutableSortedDictionary<string, string>.Empty.Add("team", Pick("team-a", "x")!) : ImmutableSortedDictionary<string, string>.Empty;
        var key = new Key
        {
            Id = KeyId,
            Name = Pick("release", "other")!,
            Owner = owner,
            Purpose = KeyPurpose.Artifacts,
            Tier = Maybe(0.5) ? KeyTier.Assured : KeyTier.Volume,
            Backend = "software",
            Spec = KeySpec.Parse("ECC_NIST_P256"),
            Algorithms = [SigningAlgorithm.ES256],
            State = KeyState.Enabled,
            CreatedAt = DateTimeOffset.UnixEpoch,
            Tags = tags,
            Versions = [],
        };
        Note(facts, "key.name", key.Name);
        Note(facts, "key.id", key.Id);
        Note(facts, "key.tier", key.Tier == KeyTier.Assured ? "assured" : "volume");
        Note(facts, "key.purpose", "artifacts");
        Note(facts, "key.spec", "ECC_NIST_P256");
        Note(facts, "key.owner", owner);
        Note(facts, "key.protection", "software");
        Note(facts, "key.tags.team", tags.GetValueOrDefault("team"));
        return key;
    }

    private SigningContext Context(Dictionary<string, List<string>> facts)
    {
        var context = new SigningContext { Ref = Pick([null, .. Texts]), Repository = Pick([null, .. Texts]), Artifact = Maybe(0.5) ? new ArtifactFacts(Type: Pick(Texts)) : null };
        Note(facts, "context.ref", context.Ref);
        Note(facts, "context.repository", context.Repository);
        Note(facts, "context.artifact.type", context.Artifact?.Type);
        return context;
    }

    private TokenWish Token(Dictionary<string, List<string>> facts, Caller caller)
    {
        string[] audiences = [.. Enumerable.Range(0, _random.Next(0, 3)).Select(_ => Pick("main", "dev", "x")!)];
        var lifetime = Maybe(0.5) ? _random.Next(1, 12) : (int?)null;
        var subject = Maybe(0.5) ? Pick("main", "dev") : null;
        var claims = Pick("""{"env":"main"}""", """{"env":["main","dev"]}""", """{"env":10,"a":{"b":"main"}}""", """{"a.b":"x","a":{"b":["dev"]}}""", """{"env":null}""", null);
        var request = TokenRequest.Parse(
            subject, audiences.Length == 0 ? null : JsonSerializer.SerializeToElement(audiences), lifetime, claims is null ? null : JsonSerializer.Deserialize<JsonElement>(claims));
        var profile = Maybe(0.5) ? new TokenProfile { Name = "default", KeyId = KeyId, Audiences = ["api*", "main"], DefaultLifetimeSeconds = 10, MaxLifetimeSeconds = 20 } : null;
        facts["token.profile"] = ["default"];
        facts["token.audience"] = audiences.Length > 0 ? [.. audiences] : profile is null ? [] : ["main"];
        Note(facts, "token.lifetimeSeconds", (lifetime ?? profile?.DefaultLifetimeSeconds)?.ToString(CultureInfo.InvariantCulture));
        Note(facts, "token.subject", subject ?? caller.Name);
        facts["token.claims.env"] = claims switch
        {
            """{"env":"main"}""" => ["main"],
            """{"env":["main","dev"]}""" => ["main", "dev"],
            """{"env":10,"a":{"b":"main"}}""" => ["10"],
            _ => [],
        };
        facts["token.claims.a.b"] = claims switch
        {
            """{"env":10,"a":{"b":"main"}}""" => ["main"],
            """{"a.b":"x","a":{"b":["dev"]}}""" => ["x", "dev"],
            _ => [],
        };
        return new TokenWish(new TokenOrder("default", request), profile, caller);
    }

    private static void Note(Dictionary<string, List<string>> facts, string name, string? value) => facts[name] = value is null ? [] : [value];

    private bool Maybe(double share) => _random.NextDouble() < share;

    private string? Pick(params string?[] choices) => choices[_random.Next(choices.Length)];

    private ImmutableArray<string> Some(params string[] choices) =>
        [.. Enumerable.Range(0, _random.Next(1, 3)).Select(_ => choices[_random.Next(choices.Length)])];
}
