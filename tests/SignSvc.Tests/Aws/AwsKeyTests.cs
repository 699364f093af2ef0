using System.Security.Cryptography;
using Amazon.KeyManagementService.Model;
using KmsState = Amazon.KeyManagementService.KeyState;

namespace SignSvc.Tests.Aws;

/// <summary>Keys in AWS KMS through the service's own API, from their creation to their end.</summary>
public sealed class AwsKeyTests(AwsService aws) : IClassFixture<AwsService>
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("ECC_NIST_P256", "ES256", 32)]
    [InlineData("ECC_NIST_P384", "ES384", 48)]
    [InlineData("ECC_NIST_P521", "ES512", 64)]
    [InlineData("RSA_2048", "PS256", 32)]
    [InlineData("RSA_3072", "RS384", 48)]
    [InlineData("RSA_4096", "PS512", 64)]
    public async Task A_key_of_each_spec_is_made_signs_and_verifies_and_every_request_id_is_on_record(string spec, string algorithm, int digestLength)
    {
        var name = RunningService.NewName("aws");
        var key = await aws.MakeKeyAsync(name, spec, $",\"algorithms\":[\"{algorithm}\"]");
        Assert.Equal("kms", key["protection"]);
        var digest = Convert.ToBase64String(RandomNumberGenerator.GetBytes(digestLength));
        var signed = await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/sign", $$"""{"digest":"{{digest}}"}""");
        Assert.Equal("kms", signed["protection"]);
        var verified = await aws.Admin.MustPostAsync(
            200, $"/v1/keys/{name}/verify", $$"""{"digest":"{{digest}}","signature":"{{signed["signature"]}}"}""");
        Assert.Equal("True", verified["valid"]);

        var records = (await aws.Admin.MustGetAsync($"/v1/audit?key={name}")).Json.GetProperty("records").EnumerateArray().ToArray();
        foreach (var action in new[] { "keys:Sign", "keys:Create" })
        {
            var record = Assert.Single(records, r => r.GetProperty("action").ValueEquals(action));
            Assert.All(
                record.GetProperty("backendRequestId").GetString()!.Split(' '), id => Assert.True(Guid.TryParse(id, out _), $"{action}: {id}"));
        }
    }

    [Fact]
    public async Task A_rotation_makes_a_new_KMS_key_and_the_alias_follows_it()
    {
        var name = RunningService.NewName("aws");
        var id = (await aws.MakeKeyAsync(name))["id"];
        await AwsService.WithinAsync(Soon, () => AliasIsAtAsync(name, id, version: 1));
        var rotated = await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/rotate");
        Assert.Equal(2, rotated.Json.GetProperty("versions").GetArrayLength());
        Assert.NotEqual((await aws.KeyOfAsync(id, 1)).Arn, (await aws.KeyOfAsync(id, 2)).Arn, StringComparer.Ordinal);
        var signed = await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/sign", $$"""{"digest":"{{Expectations.Base64Digest("a")}}"}""");
        Assert.Equal("2", signed["version"]);
        await AwsService.WithinAsync(Soon, () => AliasIsAtAsync(name, id, version: 2));
    }

    [Fact]
    public async Task Disabling_enabling_and_scheduled_deletion_reach_KMS_with_their_records()
    {
        var name = RunningService.NewName("aws");
        var id = (await aws.MakeKeyAsync(name, more: ",\"tags\":{\"team\":\"build\"}"))["id"];
        await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/disable");
        await StateBecomesAsync(KmsState.Disabled);
        (await aws.Admin.PostJsonAsync($"/v1/keys/{name}/sign", $$"""{"digest":"{{Expectations.Base64Digest("a")}}"}""")).MustBeProblem(409, "key-not-usable");
        await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/enable");
        await StateBecomesAsync(KmsState.Enabled);
        var deleting = await aws.Admin.CallAsync(HttpMethod.Delete, $"/v1/keys/{name}?pendingWindowInDays=9", "");
        Assert.Equal(200, deleting.Code);
        // A primary waits for its replicas.
        await StateBecomesAsync(KmsState.PendingReplicaDeletion);
        await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/cancel-deletion");
        await StateBecomesAsync(KmsState.Disabled);

        using var kms = aws.Kms;
        var tags = (await kms.ListResourceTagsAsync(new ListResourceTagsRequest { KeyId = (await aws.KeyOfAsync(id, 1)).KeyId }, Cancel)).Tags;
        Assert.Contains(tags, t => t is { TagKey: "team", TagValue: "build" });
        await AwsService.WithinAsync(Soon, async () =>
            (await aws.Admin.MustGetAsync($"/v1/audit?key={name}&action=keys:Mirror")).Json.GetProperty("records").EnumerateArray()
                .Any(r => r.GetProperty("detail").GetString()!.Contains("ScheduleKeyDeletion", StringComparison.Ordinal)
                    && r.GetProperty("backendRequestId").GetString()!.Length > 0));

        Task StateBecomesAsync(KmsState state) => AwsService.WithinAsync(Soon, async () => (await aws.KeyOfAsync(id, 1)).KeyState == state);
    }

    [Fact]
    public async Task A_key_that_was_stopped_in_AWS_stays_stopped_until_it_is_stopped_and_enabled_here()
    {
        var name = RunningService.NewName("aws");
        var id = (await aws.MakeKeyAsync(name))["id"];
        await AwsService.WithinAsync(Soon, () => AliasIsAtAsync(name, id, version: 1));
        using var kms = aws.Kms;
        var arn = (await aws.KeyOfAsync(id, 1)).Arn;
        await kms.DisableKeyAsync(arn, Cancel);
        await aws.Admin.CallAsync(HttpMethod.Patch, $"/v1/keys/{name}", """{"tags":{"changed":"yes"}}""");
        await AwsService.WithinAsync(Soon, async () =>
            (await kms.ListResourceTagsAsync(new ListResourceTagsRequest { KeyId = arn }, Cancel)).Tags.Exists(t => t.TagKey is "changed"));
        Assert.Equal(KmsState.Disabled, (await aws.KeyOfAsync(id, 1)).KeyState);
        (await aws.Admin.PostJsonAsync($"/v1/keys/{name}/sign", $$"""{"digest":"{{Expectations.Base64Digest("a")}}"}""")).MustBeProblem(409, "key-not-usable");

        await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/disable");
        await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/enable");
        await AwsService.WithinAsync(Soon, async () => (await aws.KeyOfAsync(id, 1)).KeyState == KmsState.Enabled);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_key_of_the_account_is_adopted_by_ARN_or_alias_and_never_deleted(bool byAlias)
    {
        using var kms = aws.Kms;
        var alias = $"alias/{RunningService.NewName("theirs")}";
        var theirs = (await kms.CreateKeyAsync(new CreateKeyRequest { KeySpec = "RSA_3072", KeyUsage = "SIGN_VERIFY" }, Cancel)).KeyMetadata;
        await kms.CreateAliasAsync(alias, theirs.KeyId, Cancel);
        var name = RunningService.NewName("adopted");
        await aws.MakeKeyAsync(name, "RSA_3072", $",\"adopt\":\"{(byAlias ? alias : theirs.Arn)}\"");
        await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/sign", $$"""{"digest":"{{Expectations.Base64Digest("a")}}"}""");
        await aws.Admin.CallAsync(HttpMethod.Delete, $"/v1/keys/{name}", "");
        await AwsService.WithinAsync(Soon, async () => (await kms.DescribeKeyAsync(theirs.KeyId, Cancel)).KeyMetadata.KeyState == KmsState.Disabled);

        (await aws.Admin.PostJsonAsync("/v1/keys", $$"""{"name":"{{RunningService.NewName("x")}}","purpose":"artifacts","backend":"aws-kms","spec":"RSA_2048","adopt":"{{alias}}"}"""))
            .MustBeProblem(400, "invalid-request");
        (await aws.Admin.PostJsonAsync("/v1/keys", $$"""{"name":"{{RunningService.NewName("x")}}","purpose":"artifacts","backend":"aws-kms","spec":"RSA_2048","adopt":"alias/nobodys"}"""))
            .MustBeProblem(404, "not-found");
    }

    [Fact]
    public async Task A_key_of_KMS_is_one_key_here_and_no_second()
    {
        var made = (await aws.Kms.CreateKeyAsync(new CreateKeyRequest { KeySpec = Amazon.KeyManagementService.KeySpec.ECC_NIST_P256, KeyUsage = Amazon.KeyManagementService.KeyUsageType.SIGN_VERIFY }, Cancel)).KeyMetadata;
        string Adopting(string name) => $$"""{"name":"{{name}}","purpose":"artifacts","backend":"aws-kms","spec":"ECC_NIST_P256","adopt":"{{made.Arn}}"}""";
        await aws.Admin.MustPostAsync(201, "/v1/keys", Adopting(RunningService.NewName("adopted")));
        (await aws.Admin.PostJsonAsync("/v1/keys", Adopting(RunningService.NewName("again")))).MustBeProblem(400, "invalid-request");
    }

    [Fact]
    public async Task Material_from_outside_is_imported_into_KMS()
    {
        var name = RunningService.NewName("imported");
        await aws.MakeKeyAsync(name, more: ",\"origin\":\"imported\"");
        var parameters = await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/import-parameters");
        using var wrapping = RSA.Create();
        wrapping.ImportSubjectPublicKeyInfo(parameters.Json.GetProperty("wrappingPublicKeyDer").GetBytesFromBase64(), out _);
        using var mine = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var wrapped = Convert.ToBase64String(wrapping.Encrypt(mine.ExportPkcs8PrivateKey(), RSAEncryptionPadding.OaepSHA256));
        await aws.Admin.MustPostAsync(
            200, $"/v1/keys/{name}/import", $$"""{"token":"{{parameters["token"]}}","algorithm":"RSA_OAEP_SHA_256","wrappedKey":"{{wrapped}}"}""");
        var signed = await aws.Admin.MustPostAsync(
            200, $"/v1/keys/{name}/sign", $$"""{"digest":"{{Expectations.Base64Digest("a")}}","encoding":"p1363"}""");
        Assert.Equal("kms", signed["protection"]);
        Assert.True(mine.VerifyHash(Expectations.Digest("a"), signed.Json.GetProperty("signature").GetBytesFromBase64()));
    }

    [Fact]
    public async Task A_volume_key_is_wrapped_by_KMS_made_there_and_wrapped_anew_on_demand()
    {
        var name = RunningService.NewName("volume");
        var made = aws.Emulator.Calls["GenerateDataKeyPairWithoutPlaintext"].Succeeded;
        await aws.Admin.MustPostAsync(201, "/v1/keys", $$"""{"name":"{{name}}","purpose":"tokens","backend":"aws-kms","spec":"ECC_NIST_P256"}""");
        Assert.Equal(made + 1, aws.Emulator.Calls["GenerateDataKeyPairWithoutPlaintext"].Succeeded);
        var rsa = RunningService.NewName("volume");
        await aws.Admin.MustPostAsync(201, "/v1/keys", $$"""{"name":"{{rsa}}","purpose":"tokens","backend":"aws-kms","spec":"RSA_2048"}""");
        Assert.Equal(made + 1, aws.Emulator.Calls["GenerateDataKeyPairWithoutPlaintext"].Succeeded);

        foreach (var key in new[] { name, rsa })
        {
            await aws.Admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{key}", $$"""{"key":"{{key}}","audiences":["*"],"defaultLifetimeSeconds":60,"maxLifetimeSeconds":60}""");
            await IssueAsync(key);
            var before = aws.Emulator.Calls["ReEncrypt"].Succeeded;
            await aws.Admin.MustPostAsync(200, $"/v1/keys/{key}/rewrap");
            Assert.Equal(before + 1, aws.Emulator.Calls["ReEncrypt"].Succeeded);
            await IssueAsync(key);
        }

        var record = (await aws.Admin.MustGetAsync($"/v1/audit?key={name}&action=keys:Rewrap")).Json.GetProperty("records")[0];
        Assert.Equal(2, record.GetProperty("backendRequestId").GetString()!.Split(' ').Length);
        var assured = RunningService.NewName("aws");
        await aws.MakeKeyAsync(assured);
        (await aws.Admin.PostJsonAsync($"/v1/keys/{assured}/rewrap")).MustBeProblem(422, "unsupported");

        Task<JsonAnswer> IssueAsync(string profile) =>
            aws.Admin.MustPostAsync(201, "/v1/tokens", $$"""{"profile":"{{profile}}","subject":"s","audience":"a"}""");
    }

    [Fact]
    public async Task A_multi_Region_key_signs_in_its_replica_while_its_Region_is_down_and_a_single_Region_key_does_not()
    {
        var (several, single) = (RunningService.NewName("mrk"), RunningService.NewName("single"));
        var id = (await aws.MakeKeyAsync(several))["id"];
        Assert.Equal("False", (await aws.MakeKeyAsync(single, more: ",\"multiRegion\":false"))["multiRegion"]);
        var key = await aws.KeyOfAsync(id, 1);
        Assert.True(key.MultiRegion);
        using var there = aws.KmsIn(AwsService.Replica);
        Assert.Equal(KmsState.Enabled, (await there.DescribeKeyAsync(key.KeyId, Cancel)).KeyMetadata.KeyState);

        aws.Emulator.Faults.Add(SignSvc.Emulation.Faults.Fault.Reset("Sign") with { Region = AwsService.Region });
        var digest = $$"""{"digest":"{{Expectations.Base64Digest("a")}}"}""";
        for (var i = 0; i < 10; i++)
            await aws.Admin.MustPostAsync(200, $"/v1/keys/{several}/sign", digest);
        (await aws.Admin.PostJsonAsync($"/v1/keys/{single}/sign", digest)).MustBeProblem(503, "backend-unavailable");
        aws.Emulator.Faults.Clear();
        await AwsService.WithinAsync(TimeSpan.FromSeconds(5), async () =>
            (await aws.Admin.PostJsonAsync($"/v1/keys/{single}/sign", digest)).Code == 200);

        (await aws.Admin.PostJsonAsync("/v1/keys", """{"name":"regions","purpose":"artifacts","spec":"ECC_NIST_P256","multiRegion":true}"""))
            .MustBeProblem(422, "unsupported");
    }

    [Fact]
    public async Task Strangers_cause_no_call_to_KMS()
    {
        var name = RunningService.NewName("aws");
        var id = (await aws.MakeKeyAsync(name))["id"];
        // The mirror's calls are done when its alias stands.
        await AwsService.WithinAsync(Soon, () => AliasIsAtAsync(name, id, version: 1));
        var stranger = aws.Process.As(token: null);
        var forger = aws.Process.As("nobody's");
        var signs = aws.Emulator.Calls["Sign"].Received;
        var creations = aws.Emulator.Calls["CreateKey"].Received;
        for (var i = 0; i < 200; i++)
        {
            var client = i % 2 == 0 ? stranger : forger;
            (await client.PostJsonAsync($"/v1/keys/{name}/sign", $$"""{"digest":"{{Expectations.Base64Digest("a")}}"}""")).MustBeProblem(401, "unauthenticated");
            (await client.PostJsonAsync("/v1/keys", """{"name":"n","purpose":"artifacts","backend":"aws-kms","spec":"RSA_2048"}""")).MustBeProblem(401, "unauthenticated");
        }

        Assert.Equal(signs, aws.Emulator.Calls["Sign"].Received);
        Assert.Equal(creations, aws.Emulator.Calls["CreateKey"].Received);
    }

    private async Task<bool> AliasIsAtAsync(string name, string id, int version) =>
        string.Equals(await AliasTargetAsync(name), (await aws.KeyOfAsync(id, version)).Arn, StringComparison.Ordinal);

    private async Task<string?> AliasTargetAsync(string name)
    {
        using var kms = aws.Kms;
        try
        {
            return (await kms.DescribeKeyAsync($"alias/signsvc/test/{name}", Cancel)).KeyMetadata.Arn;
        }
        catch (NotFoundException)
        {
            return null;
        }
    }
}
