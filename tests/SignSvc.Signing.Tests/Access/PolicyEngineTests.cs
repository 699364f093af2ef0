using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Reflection;
using System.Text.Json;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Tests.Access;

/// <summary>The engine against the words of its documentation.</summary>
public sealed class PolicyEngineTests
{
    private static readonly DateTimeOffset Now = new(2026, 6, 1, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void The_engine_and_a_slow_obvious_evaluator_agree_on_25_000_random_policies_and_requests(int seed)
    {
        var random = new RandomPolicies(seed);
        int allowed = 0, deniedByStatement = 0;
        for (var i = 0; i < 25_000; i++)
        {
            PolicyDocument[] service = i % 3 == 0 ? [random.Document(ofKey: false), random.Document(ofKey: false)] : [random.Document(ofKey: false)];
            var ofKey = i % 2 == 0 ? random.Document(ofKey: true) : null;
            var (request, plain) = random.Request();
            var access = AccessOf(service, ofKey);

            var expected = ReferenceEvaluator.Allows(plain, service, request.Facts.Key is null ? null : ofKey);
            var explained = access.Explain(request);
            Assert.True(
                expected == access.Allows(request) && expected == explained.Allowed,
                $"seed {seed}, round {i}: the reference says {expected}\n{JsonSerializer.Serialize(service)}\n{JsonSerializer.Serialize(ofKey)}\n{request}");
            allowed += expected ? 1 : 0;
            deniedByStatement += !expected && explained.By is not null ? 1 : 0;
        }

        // Otherwise the vocabulary has drifted, and the agreement means nothing.
        Assert.InRange(allowed, 4_000, 21_000);
        Assert.InRange(deniedByStatement, 1_000, 21_000);
    }

    [Fact]
    public void A_typical_evaluation_allocates_nothing()
    {
        var access = AccessOf(
            [.. Enumerable.Range(0, 20).Select(i => Parse($$$"""
                {"statements":[
                  {"sid":"sign","effect":"allow","principals":["oidc:github:repo:acme/app{{{i}}}:*"],"actions":["keys:Sign"],"resources":["key/team-{{{i}}}-*","key/release"],
                   "conditions":{"stringEquals":{"caller.repository":"acme/app{{{i}}}"},"stringLike":{"context.ref":["refs/heads/main","refs/tags/v*"]},
                                 "numericLessThanEquals":{"request.bytes":64},"dateLessThan":{"request.time":"2030-01-01T00:00:00Z"} } },
                  {"sid":"no-forks","effect":"deny","principals":["oidc:*"],"actions":["keys:*"],"resources":["*"],
                   "conditions":{"stringNotEquals":{"caller.repository_owner":"acme"} } }]}
                """))],
            ofKey: null);
        var request = new AccessRequest
        {
            Caller = new Caller("oidc:github:repo:acme/app19:ref:refs/heads/main", [], "192.0.2.1")
            {
                Claims = new Dictionary<string, ImmutableArray<string>>(StringComparer.Ordinal) { ["repository"] = ["acme/app19"], ["repository_owner"] = ["acme"] }.ToFrozenDictionary(StringComparer.Ordinal),
            },
            Action = Actions.KeysSign,
            At = Now,
            Resource = "key/release",
            Facts = new AccessFacts { Context = new SigningContext { Ref = "refs/heads/main" }, Bytes = 32, Count = 1 },
        };
        Assert.True(access.Allows(request));
        for (var i = 0; i < 2_000; i++)
            access.Allows(request);

        // The runtime may put better code in the place of this while it runs, and that is counted too.
        Assert.Equal(0, Enumerable.Range(0, 5).Select(_ => AllocatedByThousand()).Min());

        long AllocatedByThousand()
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 1_000; i++)
                access.Allows(request);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    [Fact]
    public void Every_action_can_stand_in_a_policy_but_those_that_are_only_recorded()
    {
        var constants = typeof(Actions).GetFields(BindingFlags.Public | BindingFlags.Static)
            .Where(f => f.IsLiteral).Select(f => (string)f.GetRawConstantValue()!);
        Assert.Equal(
            constants.Except([Actions.ApprovalsRequest, Actions.ApprovalsUse, Actions.Authenticate, Actions.GrantsUse, Actions.KeysIntend, Actions.KeysMirror], StringComparer.Ordinal).Order(StringComparer.Ordinal),
            Actions.All.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void The_service_itself_is_bound_by_no_policy()
    {
        var access = AccessOf([Parse("""{"statements":[{"effect":"deny","principals":["*"],"actions":["*"],"resources":["*"]}]}""")], ofKey: null);
        Assert.True(access.Allows(new AccessRequest { Caller = Caller.Service, Action = Actions.KeysRotate, At = Now }));
        Assert.False(access.Allows(new AccessRequest { Caller = new Caller("service", [Role.Admin]), Action = Actions.KeysRotate, At = Now }));
    }

    [Theory]
    [InlineData("""{"effect":"allow","principals":["*"],"actions":["keys:Sing"],"resources":["*"]}""", "no action keys:Sing")]
    [InlineData("""{"effect":"allow","principals":["*"],"actions":["keys:Sign"]}""", "names no resources")]
    [InlineData("""{"effect":"allow","principals":["*"],"actions":["keys:Sign"],"resources":["keys/release"]}""", "keys/release")]
    [InlineData("""{"effect":"allow","principals":["*"],"actions":["keys:Sign"],"resources":["*"],"conditions":{"stringIs":{"context.ref":"a"}}}""", "no operator stringIs")]
    [InlineData("""{"effect":"allow","principals":["*"],"actions":["keys:Sign"],"resources":["*"],"conditions":{"stringEquals":{"context.branch":"a"}}}""", "no fact context.branch")]
    [InlineData("""{"effect":"allow","principals":["*"],"actions":["keys:Sign"],"resources":["*"],"conditions":{"numericEquals":{"request.bytes":"many"}}}""", "takes a number")]
    [InlineData("""{"effect":"allow","principals":["*"],"actions":["keys:Sign"],"resources":["*"],"conditions":{"ipAddress":{"request.address":"10.0.0.1/8"}}}""", "without host bits")]
    [InlineData("""{"effect":"allow","effect":"deny","principals":["*"],"actions":["keys:Sign"],"resources":["*"]}""", "effect twice")]
    [InlineData("""{"effect":"Allow","principals":["*"],"actions":["keys:Sign"],"resources":["*"]}""", "effect is allow, deny or limit")]
    [InlineData("""{"effect":"allow","principals":[],"actions":["keys:Sign"],"resources":["*"]}""", "principals holds from 1")]
    [InlineData("""{"effect":"allow","principals":["*"],"actions":["keys:Sign"],"resources":["*"],"condition":{}}""", "unknown member condition")]
    [InlineData("""{"effect":"allow","principals":["*"],"actions":["keys:Sign"],"resources":["*"],"limit":{"per":"caller","perSecond":1}}""", "goes with the effect limit")]
    [InlineData("""{"effect":"limit","principals":["*"],"actions":["keys:Sign"],"resources":["*"]}""", "goes with the effect limit")]
    [InlineData("""{"effect":"limit","principals":["*"],"actions":["policies:Put"],"resources":["*"],"limit":{"per":"caller","perSecond":1}}""", "that can be limited")]
    [InlineData("""{"effect":"limit","principals":["*"],"actions":["keys:Sign"],"resources":["*"],"limit":{"per":"tenant","perSecond":1}}""", "per is caller")]
    [InlineData("""{"effect":"limit","principals":["*"],"actions":["keys:Sign"],"resources":["*"],"limit":{"per":"caller"}}""", "perSecond, or uses")]
    [InlineData("""{"effect":"limit","principals":["*"],"actions":["keys:Sign"],"resources":["*"],"limit":{"per":"caller","perSecond":0}}""", "perSecond is from")]
    [InlineData("""{"effect":"limit","principals":["*"],"actions":["keys:Sign"],"resources":["*"],"limit":{"per":"caller","uses":5}}""", "go together")]
    [InlineData("""{"effect":"limit","principals":["*"],"actions":["keys:Sign"],"resources":["*"],"limit":{"per":"caller","uses":5,"periodSeconds":60,"burst":2}}""", "goes with perSecond")]
    [InlineData("""{"effect":"limit","principals":["*"],"actions":["keys:Sign"],"resources":["*"],"limit":{"per":"caller","perSecond":5,"burst":1.5}}""", "whole number")]
    public void A_statement_that_cannot_be_meant_is_refused_by_its_name(string statement, string why)
    {
        var fault = Assert.Throws<SigningException>(() => AccessOf(
            [Parse($$"""{"statements":[{"sid":"good","effect":"deny","principals":["x"],"actions":["keys:Sign"],"resources":["*"]},{{statement}}]}""")], ofKey: null));
        Assert.Contains(why, fault.Message, StringComparison.Ordinal);
        Assert.Contains("tatement 2", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_document_comes_back_from_the_store_as_it_was_read()
    {
        var random = new RandomPolicies(9);
        for (var i = 0; i < 500; i++)
        {
            var text = JsonSerializer.Serialize(random.Document(ofKey: false));
            Assert.Equal(text, JsonSerializer.Serialize(JsonSerializer.Deserialize<PolicyDocument>(text)));
        }
    }

    [Theory]
    [InlineData("a*c", "abc", true)]
    [InlineData("a*c", "ac", true)]
    [InlineData("a*c", "abcd", false)]
    [InlineData("*a*b", "xxaxxabxb", true)]
    [InlineData("???", "ab", false)]
    [InlineData("**", "", true)]
    [InlineData("", "a", false)]
    public void A_star_stands_for_any_run_and_a_question_mark_for_one_character(string pattern, string text, bool matches) =>
        Assert.Equal(matches, Wildcard.Matches(pattern, text));

    [Fact]
    public void A_pattern_that_covers_another_matches_all_that_the_other_does()
    {
        var random = new Random(5);
        var covered = 0;
        for (var i = 0; i < 200_000; i++)
        {
            var (wide, narrow, text) = (Random(random, "ab*?"), Random(random, "ab*?"), Random(random, "ab"));
            if (Wildcard.Covers(wide, narrow) && Wildcard.Matches(narrow, text))
            {
                covered++;
                Assert.True(Wildcard.Matches(wide, text), $"{wide} {narrow} {text}");
            }

            if (Wildcard.Matches(wide, text) && Wildcard.Matches(narrow, text))
                Assert.True(Wildcard.MayOverlap(wide, narrow), $"{wide} {narrow} {text}");
        }

        Assert.True(covered > 1_000);
    }

    internal static PolicyDocument Parse(string json) => JsonSerializer.Deserialize<PolicyDocument>(json)!;

    internal static AccessPolicy AccessOf(IReadOnlyList<PolicyDocument> service, PolicyDocument? ofKey)
    {
        var documents = service.Select((d, i) => Stored(DocumentKind.Policy, PolicyScope.Service, $"p{i}", d)).ToList();
        if (ofKey is not null)
            documents.Add(Stored(DocumentKind.KeyPolicy, PolicyScope.Key, RandomPolicies.KeyId, ofKey));
        return Snapshot.Empty.With(new StateChanges(1, documents)).Access;
    }

    private static Document Stored(string kind, PolicyScope scope, string name, PolicyDocument document)
    {
        var policy = new StoredPolicy { Scope = scope, Name = name, Document = document, ChangedAt = Now, ChangedBy = "test" };
        return new Document(kind, name, 1, JsonSerializer.SerializeToUtf8Bytes(policy, SigningJson.Default.StoredPolicy), ReadOnlyMemory<byte>.Empty);
    }

    private static string Random(Random random, string letters) => new([.. Enumerable.Range(0, random.Next(0, 6)).Select(_ => letters[random.Next(letters.Length)])]);
}
