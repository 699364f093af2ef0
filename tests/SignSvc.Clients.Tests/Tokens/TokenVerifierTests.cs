namespace SignSvc.Clients.Tests.Tokens;

/// <summary>Tokens of the service before the verifiers that applications use, and forgeries of them before the same.</summary>
public sealed class TokenVerifierTests(TokenVerdicts verdicts) : IClassFixture<TokenVerdicts>
{
    private static readonly string[] Verifiers =
    [
        "jose", "jsonwebtoken", "oauth4webapi",
        "pyjwt", "python-jose", "authlib", "jwcrypto",
        "JwtSecurityTokenHandler", "JsonWebTokenHandler",
    ];

    /// <summary>Verifier and algorithm that do not go together, and why.</summary>
    private static readonly Dictionary<(string Verifier, string Algorithm), string> Lacks = new()
    {
        [("python-jose", "PS256")] = "python-jose 3.3 implements no RSASSA-PSS (jose.constants.Algorithms has no PS names).",
    };

    public static TheoryData<string, string> Pairs =>
        [.. AllPairs().Where(p => !Lacks.ContainsKey(p)).Select(p => new TheoryDataRow<string, string>(p.Verifier, p.Algorithm))];

    public static TheoryData<string, string, string> LackingPairs =>
        [.. Lacks.Select(l => new TheoryDataRow<string, string, string>(l.Key.Verifier, l.Key.Algorithm, l.Value))];

    [Theory]
    [MemberData(nameof(Pairs))]
    public void A_genuine_token_is_accepted(string verifier, string algorithm)
    {
        var verdict = verdicts.Genuine(verifier, algorithm);

        Assert.True(verdict.Accepted, verdict.Reason);
        Assert.Equal(TokenVerdicts.SubjectOf(algorithm), verdict.Subject);
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void Every_forgery_is_refused(string verifier, string algorithm) => Assert.All(Forgery.All.Keys, forgery =>
    {
        var verdict = verdicts.Forged(verifier, algorithm, forgery);
        TestContext.Current.TestOutputHelper?.WriteLine($"{forgery}: {verdict.Reason}");
        Assert.False(verdict.Accepted, $"{verifier} accepts {algorithm} with {forgery}");
    });

    /// <summary>Keeps the table honest: a verifier that has learnt an algorithm leaves it.</summary>
    [Theory]
    [MemberData(nameof(LackingPairs))]
    public void A_verifier_that_lacks_an_algorithm_still_lacks_it(string verifier, string algorithm, string reason) =>
        Assert.False(verdicts.Genuine(verifier, algorithm).Accepted, $"No longer true: {reason}");

    private static IEnumerable<(string Verifier, string Algorithm)> AllPairs() =>
        Verifiers.SelectMany(_ => TokenVerdicts.Algorithms.Keys, (verifier, algorithm) => (verifier, algorithm));
}
