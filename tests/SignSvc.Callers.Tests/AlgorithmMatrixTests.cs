namespace SignSvc.Callers.Tests;

/// <summary>Promise 10: the algorithm comes from the key, never from a header.</summary>
public sealed class AlgorithmMatrixTests
{
    private static readonly string[] OfKeys = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"];

    private static readonly string[] OfHeaders = [.. OfKeys, "none", "HS256", "es256"];

    [Fact]
    public async Task Of_all_keys_kids_and_algorithms_a_token_is_good_where_the_three_belong_together_alone()
    {
        await using var issuer = await LocalIssuer.StartAsync();
        issuer.Keys.Clear();
        issuer.Keys.AddRange(OfKeys.Select(a => new TestKey($"kid-{a}", a)));
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Environment = CallersService.Variables(
                [
                    ("Issuers:0:Name", "local"), ("Issuers:0:Issuer", issuer.Url), ("Issuers:0:Audiences:0", "signsvc"),
                    .. OfKeys.Select((a, i) => ($"Issuers:0:Algorithms:{i}", a)),
                ]),
        });
        var wrong = new List<string>();
        foreach (var key in issuer.Keys)
        {
            foreach (var named in issuer.Keys)
            {
                foreach (var algorithm in OfHeaders)
                {
                    var token = issuer.Token().SignedBy(key).WithHeader(("kid", named.Kid), ("alg", algorithm)).ToString();
                    var code = (await service.As(token).GetJsonAsync("/v1/whoami")).Code;
                    var belongs = key == named && string.Equals(key.Algorithm, algorithm, StringComparison.Ordinal);
                    if (code != (belongs ? 200 : 401))
                        wrong.Add($"signed by {key.Kid}, kid {named.Kid}, alg {algorithm}: {code}");
                }
            }
        }

        Assert.Empty(wrong);
    }
}
