using System.Text;
using System.Text.Json;
using SignSvc.Access.Issuers;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tests.Vectors;
using SignSvc.Signing.Tokens;

namespace SignSvc.Callers.Tests;

/// <summary>
/// C2SP Wycheproof's JWS and JWK vectors against what reads and checks a bearer. Their payloads are no claims, so they are held
/// against the signature alone: there an accepted forgery would show, and a refused genuine one, too.
/// </summary>
public sealed class JwsVectorTests
{
    /// <summary>Genuine signatures that the vectors accept by symmetric keys, or by keys whose <c>alg</c> says another algorithm than the header.</summary>
    private static readonly string[] MoreThanWeAccept = ["HS256", "HS384", "HS512"];

    [Theory]
    [InlineData("json_web_signature_test.json", 401)]
    [InlineData("json_web_key_test.json", 26)]
    public void No_invalid_vector_is_accepted_and_asymmetric_valid_ones_are(string file, int count)
    {
        var (wrong, seen, accepted) = (new List<string>(), 0, 0);
        foreach (var group in PublishedVectors.Read(file).GetProperty("testGroups").EnumerateArray())
        {
            // Where there is no public half, the secret is published: no key set can be more wrong.
            var keys = group.TryGetProperty("public", out var published) ? published : group.GetProperty("private");
            foreach (var test in group.GetProperty("tests").EnumerateArray())
            {
                seen++;
                var isAccepted = Accepts(keys, test.GetProperty("jws"));
                accepted += isAccepted ? 1 : 0;
                var result = test.GetProperty("result").GetString();
                if (isAccepted && result is "invalid")
                    wrong.Add($"accepted: {test}");
                if (!isAccepted && result is "valid" && MustAccept(keys, test.GetProperty("jws").GetString()!))
                    wrong.Add($"refused: {test}");
            }
        }

        Assert.Empty(wrong);
        Assert.Equal(count, seen);
        Assert.InRange(accepted, 1, seen);
    }

    private static bool Accepts(JsonElement keys, JsonElement jws)
    {
        var text = jws.ValueKind == JsonValueKind.String ? jws.GetString()! : jws.GetRawText();
        return CompactJws.TryParse(text) is { } token
            && SigningAlgorithm.TryParse(token.Algorithm, out var algorithm)
            && TryRead(keys)?.Find(token.Kid, algorithm)?.Verifies(token, algorithm) == true;
    }

    private static JwkSet? TryRead(JsonElement keys)
    {
        var text = keys.TryGetProperty("keys", out _) ? keys.GetRawText() : $$"""{"keys":[{{keys.GetRawText()}}]}""";
        try
        {
            return JwkSet.Parse(Encoding.UTF8.GetBytes(text));
        }
        catch (InvalidDataException)
        {
            return null;
        }
    }

    private static bool MustAccept(JsonElement keys, string jws)
    {
        var algorithm = CompactJws.TryParse(jws)?.Algorithm;
        if (algorithm is null || MoreThanWeAccept.Contains(algorithm, StringComparer.Ordinal))
            return false;
        var key = keys.TryGetProperty("keys", out var set) ? set[0] : keys;
        return !key.TryGetProperty("alg", out var only) || only.ValueEquals(algorithm);
    }
}
