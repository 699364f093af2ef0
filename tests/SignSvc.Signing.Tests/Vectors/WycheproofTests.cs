using System.Text.Json;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Vectors;

/// <summary>C2SP Wycheproof against <see cref="PublicKey.Verify"/>: <c>valid</c> is accepted, <c>invalid</c> refused, <c>acceptable</c> free.</summary>
public sealed class WycheproofTests
{
    /// <param name="keysRefused">Groups whose key is refused before any signature is looked at: RSA with e = 3.</param>
    [Theory]
    [InlineData("ecdsa_secp256r1_sha256_p1363_test.json", "ES256", 262, 0)]
    [InlineData("ecdsa_secp384r1_sha384_p1363_test.json", "ES384", 280, 0)]
    [InlineData("rsa_signature_2048_sha256_test.json", "RS256", 259, 2)]
    [InlineData("rsa_pss_2048_sha256_mgf1_32_test.json", "PS256", 108, 0)]
    public void Published_signatures_get_their_published_verdict(string file, string algorithmName, int tests, int keysRefused)
    {
        var algorithm = SigningAlgorithm.Parse(algorithmName);
        var wrong = new List<string>();
        var seen = 0;
        var refusedKeys = 0;
        foreach (var group in PublishedVectors.Read(file).GetProperty("testGroups").EnumerateArray())
        {
            var cases = group.GetProperty("tests").EnumerateArray().ToArray();
            seen += cases.Length;
            if (ReadKey(group) is { } key)
                wrong.AddRange(cases.Where(c => !HasItsVerdict(key, algorithm, c)).Select(c => $"{c}"));
            else
                refusedKeys++;
        }

        Assert.Empty(wrong);
        Assert.Equal(tests, seen);
        Assert.Equal(keysRefused, refusedKeys);
    }

    /// <summary>Null for an RSA key with another exponent than 65537; any other key must be read.</summary>
    private static PublicKey? ReadKey(JsonElement group)
    {
        var spki = Hex(group, "publicKeyDer");
        if (!group.GetProperty("publicKey").TryGetProperty("publicExponent", out var exponent) || exponent.ValueEquals("010001"))
            return PublicKey.FromSpki(spki);
        var refusal = Assert.Throws<SigningException>(() => PublicKey.FromSpki(spki));
        Assert.Contains("65537", refusal.Message, StringComparison.Ordinal);
        return null;
    }

    private static bool HasItsVerdict(PublicKey key, SigningAlgorithm algorithm, JsonElement test)
    {
        var verdict = key.Verify(algorithm, algorithm.HashData(Hex(test, "msg")), Hex(test, "sig"));
        return test.GetProperty("result").GetString() switch
        {
            "valid" => verdict,
            "invalid" => !verdict,
            "acceptable" => true,
            var unknown => throw new InvalidDataException($"Unknown result {unknown}"),
        };
    }

    private static byte[] Hex(JsonElement parent, string name) => Convert.FromHexString(parent.GetProperty(name).GetString()!);
}
