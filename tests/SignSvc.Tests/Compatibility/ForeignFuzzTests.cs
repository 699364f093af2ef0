using System.Collections.Concurrent;
using System.Text;

namespace SignSvc.Tests.Compatibility;

/// <summary>Whatever foreign clients send, signed or with a token: an answer in their words, and never a 5xx.</summary>
public sealed class ForeignFuzzTests
{
    private const int Seed = 20260103;
    private const int Inputs = 3000;

    private static readonly string[] Operations =
    [
        "Sign", "Verify", "GetPublicKey", "DescribeKey", "ListKeys", "CreateKey", "EnableKey", "DisableKey", "UpdateKeyDescription", "ScheduleKeyDeletion",
        "CancelKeyDeletion", "GetKeyRotationStatus", "ListAliases", "CreateAlias", "UpdateAlias", "DeleteAlias", "TagResource", "UntagResource", "ListResourceTags", "Encrypt",
    ];

    private static readonly string[] Members =
    [
        "KeyId", "Message", "MessageType", "SigningAlgorithm", "Signature", "KeySpec", "KeyUsage", "Origin", "Description", "Tags", "TagKeys", "AliasName", "TargetKeyId",
        "Limit", "Marker", "PendingWindowInDays", "GrantTokens", "DryRun", "CustomKeyStoreId", "MultiRegion",
    ];

    private static readonly string[] Paths =
    [
        "sign/release", "sign/release/sha2-256", "sign/tokens/none", "verify/release", "verify/release/sha2-512", "keys/fuzz", "keys/release/config", "keys/fuzz/rotate",
        "keys/release/trim", "keys/%20", "keys/a%2Fb", "nothing/here", "keys",
    ];

    private static readonly string[] TransitMembers =
    [
        "input", "batch_input", "prehashed", "hash_algorithm", "signature_algorithm", "marshaling_algorithm", "salt_length", "key_version", "signature", "type",
        "auto_rotate_period", "min_decryption_version", "min_encryption_version", "deletion_allowed", "context", "reference",
    ];

    private static readonly string[] Values =
    [
        "\"alias/release\"", "\"alias/tokens\"", "\"arn:aws:kms:eu-central-1:000000000000:alias/release\"", "\"arn:\"", "\"alias/\"", "\"AAAA\"", "\"RAW\"", "\"DIGEST\"",
        "\"ECDSA_SHA_256\"", "\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"", "\"SIGN_VERIFY\"", "\"ECC_NIST_P256\"", "\"ecdsa-p256\"", "\"vault:v1:AAAA\"", "\"vault:v:\"",
        "\"\"", "\" \"", "\"\\ud800\"", "\"\\u0000\"", "\"é\"", "null", "true", "false", "0", "-1", "1", "7", "1e400", "2147483648", "0.5", "[]", "{}", "[{}]", "[null]", "[\"a\"]",
        "[{\"TagKey\":\"a\",\"TagValue\":\"b\"}]", "[{\"TagKey\":null}]", "[{\"input\":\"AAAA\"}]", "\"sha2-256\"", "\"pss\"", "\"jws\"", "\"720h\"", "\"h\"", "\"99999999999d\"",
    ];

    [Fact]
    public async Task No_input_gives_a_5xx_or_somebody_elses_words()
    {
        await using var service = await ServiceProcess.StartAsync();
        var made = await service.Client.MustPostAsync(201, "/v1/credentials/bootstrap/access-keys");
        var aws = new AwsClient(service.As(null), made["accessKeyId"], made["secretAccessKey"]);
        var statuses = new ConcurrentDictionary<int, int>();
        var faults = new ConcurrentBag<string>();
        await Parallel.ForAsync(
            0, Inputs, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = TestContext.Current.CancellationToken },
            async (i, _) =>
            {
                var random = new Random(Seed + i);
                var isAws = i % 2 == 0;
                var body = Body(random, isAws ? Members : TransitMembers);
                var place = isAws ? Pick(random, Operations) : Pick(random, Paths);
                var answer = isAws
                    ? await aws.CallAsync(place, body)
                    : await service.Client.CallAsync(new HttpMethod(Pick(random, ["POST", "PUT"])), $"/v1/transit/{place}", body);
                statuses.AddOrUpdate(answer.Code, 1, (_, n) => n + 1);
                var isInItsWords = answer.Code < 400 || (isAws ? answer.Text.StartsWith("{\"__type\":", StringComparison.Ordinal) : answer.Text.StartsWith("{\"errors\":[", StringComparison.Ordinal));
                if (answer.Code >= 500 || !isInItsWords || answer.Text.Contains("   at ", StringComparison.Ordinal))
                    faults.Add($"input {i}: {place} {body}: {answer}");
            });

        TestContext.Current.TestOutputHelper?.WriteLine($"{Inputs} inputs: {string.Join(", ", statuses.OrderBy(s => s.Key).Select(s => $"{s.Value} × {s.Key}"))}");
        Assert.Empty(faults.Take(5));
        Assert.True(statuses.GetValueOrDefault(200) > Inputs / 50, "Too few inputs come through to the code behind the parser.");
        Assert.Equal("True", (await service.Client.MustGetAsync("/v1/audit/check"))["intact"]);
    }

    /// <summary>An object of known members with values that fit some of them; now and then damaged.</summary>
    private static string Body(Random random, string[] members)
    {
        var text = new StringBuilder("{");
        foreach (var member in members.Where(_ => random.Next(3) > 0))
            text.Append(text.Length > 1 ? "," : "").Append($"\"{member}\":{Fitting(random, member)}");
        text.Append('}');
        return random.Next(12) switch
        {
            0 => text.ToString(0, random.Next(text.Length)),
            1 => Pick(random, Values),
            2 => "",
            3 => $"{{\"{members[0]}\":1,\"{members[0]}\":2,\"\\ud800\":1}}",
            4 => string.Concat(Enumerable.Repeat("[", 60)),
            _ => text.ToString(),
        };
    }

    private static string Fitting(Random random, string member) => random.Next(10) < 3 ? Pick(random, Values) : member switch
    {
        "KeyId" or "AliasName" or "TargetKeyId" => "\"alias/release\"",
        "Message" or "input" or "Signature" => "\"AAAA\"",
        "MessageType" => "\"RAW\"",
        "SigningAlgorithm" => "\"ECDSA_SHA_256\"",
        "KeySpec" => "\"ECC_NIST_P256\"",
        "KeyUsage" => "\"SIGN_VERIFY\"",
        "type" => "\"ecdsa-p256\"",
        "signature" => "\"vault:v1:AAAA\"",
        "Limit" or "PendingWindowInDays" => "10",
        _ => "null",
    };

    private static string Pick(Random random, string[] choices) => choices[random.Next(choices.Length)];
}
