using System.Globalization;
using System.Text.RegularExpressions;
using Amazon.KeyManagementService;
using Amazon.KeyManagementService.Model;
using Amazon.Runtime;
using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Compatibility;

/// <summary>
/// What AWS KMS refuses, the service refuses in the same words: each call goes to both, to the service and to the stand-in for
/// AWS KMS, whose words are held against answers recorded from AWS itself.
/// </summary>
public sealed partial class AwsWordsTests(RunningService service)
{
    private const string Nobody = "11111111-2222-4333-8444-555555555555";

    private static readonly byte[] Digest = new byte[32];

    private static readonly Dictionary<string, Func<Account, Task>> Refusals = new(StringComparer.Ordinal)
    {
        ["an id that nobody has"] = a => a.Kms.DescribeKeyAsync(Nobody),
        ["no id"] = a => a.Kms.DescribeKeyAsync("fake-key-id"),
        ["an ARN of another region"] = a => a.Kms.DescribeKeyAsync(a.Arn.Replace("eu-central-1", "us-east-1", StringComparison.Ordinal)),
        ["an ARN that is none"] = a => a.Kms.DescribeKeyAsync("arn:aws:kms:nowhere"),
        ["an alias that nobody has"] = a => a.Kms.DescribeKeyAsync("alias/words/nothing"),
        ["sign with an id that nobody has"] = a => a.SignAsync(Nobody),
        ["sign with an alias that nobody has"] = a => a.SignAsync("alias/words/nothing"),
        ["an algorithm of another spec"] = a => a.SignAsync(a.Key, algorithm: "RSASSA_PSS_SHA_256"),
        ["an algorithm that is none"] = a => a.SignAsync(a.Key, algorithm: "INVALID"),
        ["a type of message that is none"] = a => a.SignAsync(a.Key, type: "INVALID"),
        ["a digest that is too short"] = a => a.SignAsync(a.Key, Digest[..31]),
        ["a message that is too long"] = a => a.SignAsync(a.Key, new byte[4097], type: "RAW"),
        ["a disabled key"] = a => a.SignAsync(a.Disabled),
        ["a key pending deletion"] = a => a.SignAsync(a.Pending),
        ["enable a key pending deletion"] = a => a.Kms.EnableKeyAsync(a.Pending),
        ["disable a key pending deletion"] = a => a.Kms.DisableKeyAsync(a.Pending),
        ["describe a key pending deletion anew"] = a => a.Kms.UpdateKeyDescriptionAsync(new UpdateKeyDescriptionRequest { KeyId = a.Pending, Description = "x" }),
        ["delete a key pending deletion"] = a => a.Kms.ScheduleKeyDeletionAsync(a.Pending, 7),
        ["delete a key that nobody has"] = a => a.Kms.ScheduleKeyDeletionAsync(Nobody, 7),
        ["cancel the deletion of a key that is enabled"] = a => a.Kms.CancelKeyDeletionAsync(a.Key),
        ["cancel the deletion of a key that is disabled"] = a => a.Kms.CancelKeyDeletionAsync(a.Disabled),
        ["cancel the deletion of a key that nobody has"] = a => a.Kms.CancelKeyDeletionAsync(Nobody),
        ["make an alias that there is"] = a => a.Kms.CreateAliasAsync("alias/words/taken", a.Disabled),
        ["make an alias of a key that nobody has"] = a => a.Kms.CreateAliasAsync("alias/words/new", Nobody),
        ["make an alias of a key pending deletion"] = a => a.Kms.CreateAliasAsync("alias/words/new", a.Pending),
        ["make an alias without its prefix"] = a => a.Kms.CreateAliasAsync("words", a.Key),
        ["move an alias that nobody has"] = a => a.Kms.UpdateAliasAsync("alias/words/nothing", a.Key),
        ["delete an alias that nobody has"] = a => a.Kms.DeleteAliasAsync("alias/words/nothing"),
        ["delete an alias without its prefix"] = a => a.Kms.DeleteAliasAsync("words"),
        ["a tag twice"] = a => a.TagAsync(("a", "1"), ("a", "2")),
        ["a tag of AWS"] = a => a.TagAsync(("aws:x", "1")),
        ["a tag with a key that is too long"] = a => a.TagAsync(("ok", "1"), (new string('a', 129), "1")),
        ["a tag with a value that is too long"] = a => a.TagAsync(("a", new string('v', 257))),
        ["too many tags"] = a => a.TagAsync([.. Enumerable.Range(0, 51).Select(i => ($"tag-{i.ToString(CultureInfo.InvariantCulture)}", "1"))]),
        ["a page of no keys"] = a => a.Kms.ListKeysAsync(new ListKeysRequest { Limit = Bound(0) }),
        ["a page of too many keys"] = a => a.Kms.ListKeysAsync(new ListKeysRequest { Limit = Bound(1001) }),
        ["a key without its usage"] = a => a.Kms.CreateKeyAsync(new CreateKeyRequest { KeySpec = KeySpec.ECC_NIST_P256 }),
    };

    [Fact]
    public async Task A_refusal_has_the_words_of_AWS()
    {
        var access = await AccessKeyOf.NewAsync(service, "operator", "signer");
        using var ours = await Account.OpenAsync(service.Url, access.Id, access.Secret);
        using var aws = await Account.OpenAsync(service.KmsUrl, RunningService.KmsAccount, "any");

        var differences = new List<string>();
        foreach (var (name, refused) in Refusals)
        {
            var (expected, shown) = (await ShowAsync(aws, refused), await ShowAsync(ours, refused));
            if (!string.Equals(expected, shown, StringComparison.Ordinal))
                differences.Add($"{name}:\n  AWS  {expected}\n  ours {shown}");
        }

        Assert.True(differences.Count == 0, string.Join('\n', differences));
    }

    /// <summary>Where the SDK's analyzer does not see that it is out of bounds.</summary>
    private static int Bound(int limit) => limit;

    private static async Task<string> ShowAsync(Account account, Func<Account, Task> refused)
    {
        try
        {
            await refused(account);
            return "no refusal";
        }
        catch (AmazonKeyManagementServiceException e)
        {
            // Which values there are depends on what is served.
            return $"{e.ErrorCode}: {Own().Replace(EnumSet().Replace(e.Message, "[…]"), "…")}";
        }
    }

    /// <summary>Account and key.</summary>
    [GeneratedRegex("(?<=:)[0-9]{12}(?=:)|[0-9a-f]{8}-[0-9a-f-]{27}", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Own();

    [GeneratedRegex(@"(?<=enum value set: )\[[^\]]*\]", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex EnumSet();

    /// <summary>A caller with keys of its own: one that signs, one disabled, one pending deletion.</summary>
    private sealed class Account : IDisposable
    {
        public required AmazonKeyManagementServiceClient Kms { get; init; }

        public string Key { get; private set; } = "";

        public string Arn { get; private set; } = "";

        public string Disabled { get; private set; } = "";

        public string Pending { get; private set; } = "";

        private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

        public static async Task<Account> OpenAsync(string url, string id, string secret)
        {
            var account = new Account
            {
                Kms = new AmazonKeyManagementServiceClient(
                    new BasicAWSCredentials(id, secret),
                    new AmazonKeyManagementServiceConfig { ServiceURL = url, AuthenticationRegion = "eu-central-1", MaxErrorRetry = 0 }),
            };
            (account.Key, account.Arn) = await account.CreateAsync();
            (account.Disabled, _) = await account.CreateAsync();
            await account.Kms.DisableKeyAsync(account.Disabled, Cancellation);
            await account.Kms.CreateAliasAsync("alias/words/taken", account.Key, Cancellation);
            (account.Pending, _) = await account.CreateAsync();
            await account.Kms.ScheduleKeyDeletionAsync(account.Pending, 7, Cancellation);
            return account;
        }

        public Task<SignResponse> SignAsync(string key, byte[]? message = null, string algorithm = "ECDSA_SHA_256", string type = "DIGEST") => Kms.SignAsync(
            new SignRequest { KeyId = key, Message = new MemoryStream(message ?? Digest), MessageType = type, SigningAlgorithm = algorithm }, Cancellation);

        public Task<TagResourceResponse> TagAsync(params (string Key, string Value)[] tags) => Kms.TagResourceAsync(
            new TagResourceRequest { KeyId = Key, Tags = [.. tags.Select(t => new Tag { TagKey = t.Key, TagValue = t.Value })] }, Cancellation);

        public void Dispose() => Kms.Dispose();

        private async Task<(string Id, string Arn)> CreateAsync()
        {
            var made = (await Kms.CreateKeyAsync(new CreateKeyRequest { KeySpec = KeySpec.ECC_NIST_P256, KeyUsage = KeyUsageType.SIGN_VERIFY }, Cancellation)).KeyMetadata;
            return (made.KeyId, made.Arn);
        }
    }
}
