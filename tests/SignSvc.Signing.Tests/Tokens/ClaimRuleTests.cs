using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using SignSvc.Signing.Access;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing.Tests.Tokens;

/// <summary>What a claim may be, and what a profile's own claims say.</summary>
public sealed class ClaimRuleTests
{
    [Theory]
    [InlineData(ClaimType.String, null, "\"a\"", true)]
    [InlineData(ClaimType.String, null, "1", false)]
    [InlineData(ClaimType.Integer, null, "9007199254740993", true)]
    [InlineData(ClaimType.Integer, null, "1.5", false)]
    [InlineData(ClaimType.Number, null, "1.5", true)]
    [InlineData(ClaimType.Boolean, null, "false", true)]
    [InlineData(ClaimType.Array, null, "[1]", true)]
    [InlineData(ClaimType.Object, null, "[]", false)]
    [InlineData(ClaimType.Any, "[a-z]+", "\"abc\"", true)]
    [InlineData(ClaimType.Any, "[a-z]+", "\"abc1\"", false)]
    [InlineData(ClaimType.Any, "[a-z]+", "\"abc\\n\"", false)]
    [InlineData(ClaimType.Any, "a|b", "\"ab\"", false)]
    [InlineData(ClaimType.Array, "[a-z]+", "[\"a\",\"b\"]", true)]
    [InlineData(ClaimType.Array, "[a-z]+", "[\"a\",\"B\"]", false)]
    [InlineData(ClaimType.Array, "[a-z]+", "[\"a\",1]", false)]
    [InlineData(ClaimType.Any, "[a-z]+", "1", false)]
    public void A_rule_takes_what_it_says_and_nothing_else(ClaimType type, string? pattern, string value, bool isTaken)
    {
        var rule = new ClaimRule(type, pattern);
        rule.Check("c");
        Assert.Equal(isTaken, rule.Fault("c", Json(value)) is null);
    }

    [Theory]
    [InlineData("(")]
    [InlineData("(?=a)b")]
    [InlineData("(a)\\1")]
    [InlineData("(?<!a)b")]
    public void A_pattern_that_could_take_for_ever_is_refused(string pattern) =>
        Assert.Equal(SigningFault.InvalidRequest, Assert.Throws<SigningException>(() => new ClaimRule(Pattern: pattern).Check("c")).Fault);

    [Fact]
    public void A_pattern_that_ruins_backtracking_engines_takes_no_time()
    {
        var rule = new ClaimRule(Pattern: "(a+)+b");
        var started = Stopwatch.GetTimestamp();
        Assert.NotNull(rule.Fault("c", Json($"\"{new string('a', 100_000)}\"")));
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, TimeSpan.FromSeconds(10));
    }

    [Theory]
    [InlineData("\"{caller}\"", "\"ci\"")]
    [InlineData("\"{caller.principal}\"", "\"credential:ci\"")]
    [InlineData("\"{caller.groups}\"", "[\"a\",\"b\"]")]
    [InlineData("\"{caller.repository}@{request.claims.env}\"", "\"acme/app@prod\"")]
    [InlineData("\"{request.claims.count}\"", "7")]
    [InlineData("\"n={request.claims.count}\"", "\"n=7\"")]
    [InlineData("\"{request.claims.deep.in}\"", "\"side\"")]
    [InlineData("\"{{{caller}}}\"", "\"{ci}\"")]
    [InlineData("[\"{caller}\",{\"x\":\"{caller}\"}]", "[\"ci\",{\"x\":\"ci\"}]")]
    [InlineData("\"{request.claims.none?}\"", null)]
    [InlineData("[1,\"{request.claims.none?}\"]", null)]
    [InlineData("5", "5")]
    public void A_template_says_what_its_variables_say(string template, string? expected)
    {
        ClaimTemplate.Check("c", Json(template));
        Assert.Equal(expected is null ? "{}" : $"{{\"c\":{expected}}}", Evaluate(template));
    }

    [Theory]
    [InlineData("\"{request.claims.none}\"")]
    [InlineData("\"x{request.claims.deep}\"")]
    public void A_variable_without_a_value_refuses_the_token(string template) =>
        Assert.Equal(SigningFault.InvalidRequest, Assert.Throws<SigningException>(() => Evaluate(template)).Fault);

    [Theory]
    [InlineData("\"{\"")]
    [InlineData("\"}\"")]
    [InlineData("\"{nobody}\"")]
    [InlineData("\"{}\"")]
    [InlineData("\"{caller.}\"")]
    [InlineData("{\"a\":[\"{request.header}\"]}")]
    [InlineData("[[[[[[[[[1]]]]]]]]]")]
    public void A_template_that_cannot_be_meant_is_refused(string template) =>
        Assert.Equal(SigningFault.InvalidRequest, Assert.Throws<SigningException>(() => ClaimTemplate.Check("c", Json(template))).Fault);

    private static string Evaluate(string template)
    {
        var caller = new Caller("credential:ci", [Role.Signer])
        {
            Claims = new Dictionary<string, ImmutableArray<string>>(StringComparer.Ordinal)
            {
                ["repository"] = ["acme/app"],
                ["groups"] = ["a", "b"],
            }.ToFrozenDictionary(StringComparer.Ordinal),
        };
        var request = TokenRequest.Parse(null, null, null, Json("""{"env":"prod","count":7,"deep":{"in":"side"}}"""));
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            ClaimTemplate.Write(writer, "c", Json(template), new ClaimSources(caller, request));
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static JsonElement Json(string text)
    {
        using var json = JsonDocument.Parse(text);
        return json.RootElement.Clone();
    }
}
