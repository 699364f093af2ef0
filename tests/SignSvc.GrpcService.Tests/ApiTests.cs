using System.Security.Cryptography;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using SignSvc.Grpc.V1;
using StatusCode = SignSvc.Grpc.StatusCode;

namespace SignSvc.GrpcService.Tests;

/// <summary>The API from .NET's HttpClient, and that it is the same service as over HTTP.</summary>
public sealed class ApiTests(GrpcServer server)
{
    private const string Signing = "signsvc.v1.Signing";
    private const string Tokens = "signsvc.v1.Tokens";
    private const string Keys = "signsvc.v1.Keys";

    private static readonly byte[] Digest = SHA256.HashData("app.tar.gz"u8);

    [Fact]
    public async Task A_signature_verifies_over_HTTP_and_is_on_record_with_its_context()
    {
        var signed = await server.Admin.CallAsync<SignResponse>($"{Signing}/Sign", new SignRequest
        {
            Key = "release",
            Digest = ByteString.CopyFrom(Digest),
            Algorithm = "ES256",
            Context = new SigningContext { Artifact = new Artifact { Type = "blob", Name = "app.tar.gz" }, Ref = "refs/heads/main", PipelineRun = "17" },
        });
        var verified = await server.Service.Client.PostJsonAsync(
            "/v1/keys/release/verify",
            $$"""{"digest":"{{Convert.ToBase64String(Digest)}}","signature":"{{signed.Signature.ToBase64()}}"}""");

        Assert.Equal("True", verified["valid"]);
        Assert.Equal(SignatureEncoding.Der, signed.Encoding);
        Assert.NotEmpty(signed.Warnings);
        var record = await GrpcServer.RecordAsync(server.Service, signed.AuditId);
        Assert.Equal("keys:Sign", record.GetProperty("action").GetString());
        Assert.Equal("credential:bootstrap", record.GetProperty("caller").GetString());
        Assert.Equal(Convert.ToBase64String(Digest), record.GetProperty("digest").GetString());
        Assert.Equal("app.tar.gz", record.GetProperty("context").GetProperty("artifact").GetProperty("name").GetString());
        Assert.Equal("17", record.GetProperty("context").GetProperty("run").GetString());
        Assert.Equal("refs/heads/main", record.GetProperty("context").GetProperty("ref").GetString());
    }

    [Fact]
    public async Task A_message_is_hashed_here_and_verifies_in_both_encodings()
    {
        var message = ByteString.CopyFrom(RandomNumberGenerator.GetBytes(1024 * 1024));
        foreach (var encoding in new[] { SignatureEncoding.Der, SignatureEncoding.P1363 })
        {
            var signed = await server.Admin.CallAsync<SignResponse>(
                $"{Signing}/Sign", new SignRequest { Key = "release", Message = message, Encoding = encoding });
            var verified = await server.Admin.CallAsync<VerifyResponse>(
                $"{Signing}/Verify", new VerifyRequest { Key = "release", Message = message, Signature = signed.Signature, Encoding = encoding });
            var forged = await server.Admin.CallAsync<VerifyResponse>(
                $"{Signing}/Verify", new VerifyRequest { Key = "release", Digest = ByteString.CopyFrom(Digest), Signature = signed.Signature, Encoding = encoding });

            Assert.True(verified is { Valid: true, Version: 1 });
            Assert.True(forged is { Valid: false, Version: 0 });
        }
    }

    [Fact]
    public async Task A_batch_answers_each_item_for_itself()
    {
        var batch = new SignBatchRequest { Key = "release" };
        for (var i = 0; i < 1000; i++)
            batch.Items.Add(new SignRequest { Digest = ByteString.CopyFrom(i == 500 ? new byte[20] : SHA256.HashData(BitConverter.GetBytes(i))) });
        batch.Items[7].Key = "release";
        var answer = await server.Admin.CallAsync<SignBatchResponse>($"{Signing}/SignBatch", batch);

        Assert.Equal(1000, answer.Results.Count);
        Assert.Equal(998, answer.Results.Count(r => r.Signed is not null));
        var fault = answer.Results[500].Fault;
        Assert.Equal((int)StatusCode.InvalidArgument, fault.Code);
        var info = fault.Details[0].Unpack<Grpc.Rpc.ErrorInfo>();
        Assert.Equal("INVALID_DIGEST", info.Reason);
        Assert.Equal("invalid-digest", (await GrpcServer.RecordAsync(server.Service, info.Metadata["auditId"])).GetProperty("fault").GetString());
        Assert.Equal("INVALID_REQUEST", answer.Results[7].Fault.Details[0].Unpack<Grpc.Rpc.ErrorInfo>().Reason);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1001, 10_001)]
    public async Task A_batch_beyond_its_limits_is_refused_whole(int digests, int tokens)
    {
        var batch = new SignBatchRequest { Key = "release", Items = { Enumerable.Repeat(new SignRequest { Digest = ByteString.CopyFrom(Digest) }, digests) } };
        var orders = new IssueBatchRequest { Profile = "default", Items = { Enumerable.Repeat(new IssueRequest(), tokens) } };

        Assert.Equal(StatusCode.InvalidArgument, (await server.Admin.FailAsync<SignBatchResponse>($"{Signing}/SignBatch", batch)).Status);
        Assert.Equal(StatusCode.InvalidArgument, (await server.Admin.FailAsync<IssueBatchResponse>($"{Tokens}/IssueBatch", orders)).Status);
    }

    [Fact]
    public async Task A_token_says_what_was_asked_for_and_its_key_is_in_the_set()
    {
        var claims = new Struct { Fields = { ["env"] = Value.ForString("prod"), ["n"] = Value.ForNumber(7), ["deep"] = Value.ForList(Value.ForBool(true), Value.ForNull()) } };
        var issued = await server.Admin.CallAsync<IssueResponse>($"{Tokens}/Issue", new IssueRequest
        {
            Profile = "default",
            Subject = "build-42",
            Audiences = { "api://deploy", "api://x" },
            LifetimeSeconds = 300,
            Claims = claims,
        });
        var payload = System.Text.Encoding.UTF8.GetString(System.Buffers.Text.Base64Url.DecodeFromChars(issued.Token.Split('.')[1]));
        Assert.Contains("\"aud\":[\"api://deploy\",\"api://x\"]", payload, StringComparison.Ordinal);
        Assert.Contains("\"n\":7", payload, StringComparison.Ordinal);
        Assert.Contains("\"deep\":[true,null]", payload, StringComparison.Ordinal);

        using var stranger = server.As(token: null);
        var (keys, http, again) = await KeySetAsync();
        // Other tests make keys meanwhile: what is compared has to be of one state.
        for (var i = 0; i < 100 && !string.Equals(again.Etag, keys.Etag, StringComparison.Ordinal); i++)
            (keys, http, again) = await KeySetAsync();
        Assert.Equal(http.Text, keys.KeySet);
        Assert.Contains(issued.Kid, keys.KeySet, StringComparison.Ordinal);
        Assert.Empty(again.KeySet);
        Assert.Equal("build-42", (await GrpcServer.RecordAsync(server.Service, issued.AuditId)).GetProperty("subject").GetString());

        async Task<(GetJwksResponse Keys, JsonAnswer Http, GetJwksResponse Again)> KeySetAsync()
        {
            var first = await stranger.CallAsync<GetJwksResponse>($"{Tokens}/GetJwks", new GetJwksRequest());
            return (
                first, await server.Service.Client.GetJsonAsync("/.well-known/jwks.json"),
                await stranger.CallAsync<GetJwksResponse>($"{Tokens}/GetJwks", new GetJwksRequest { KnownEtag = first.Etag }));
        }
    }

    [Theory]
    [InlineData(""","grants":["client_credentials"]""", "ask at")]
    [InlineData(""","requireBinding":true""", "bound to a key")]
    [InlineData(""","scopes":["read"]""", "scopes of the profile")]
    public async Task What_a_profile_demands_of_the_token_endpoint_s_clients_is_demanded_here(string members, string why)
    {
        var put = await server.Service.Client.CallAsync(HttpMethod.Put, "/v1/profiles/bounded", $$"""{"key":"tokens","audiences":["a"]{{members}}}""");
        Assert.True(put.Code == 200, put.ToString());
        var wish = new IssueRequest { Subject = "ceo@example", Claims = new Struct { Fields = { ["scope"] = Value.ForString("admin write") } } };
        var refused = await server.Admin.FailAsync<IssueResponse>($"{Tokens}/Issue", new IssueRequest(wish) { Profile = "bounded" });
        Assert.Equal(StatusCode.InvalidArgument, refused.Status);
        Assert.Contains(why, refused.Message, StringComparison.Ordinal);
        var batch = await server.Admin.CallAsync<IssueBatchResponse>($"{Tokens}/IssueBatch", new IssueBatchRequest { Profile = "bounded", Items = { wish } });
        Assert.Contains(why, Assert.Single(batch.Results).Fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ten_thousand_tokens_come_in_one_batch()
    {
        var batch = new IssueBatchRequest { Profile = "default" };
        for (var i = 0; i < 10_000; i++)
            batch.Items.Add(new IssueRequest { Audiences = { "api://deploy" }, LifetimeSeconds = i == 3 ? 86_400 : 0 });
        var answer = await server.Admin.CallAsync<IssueBatchResponse>($"{Tokens}/IssueBatch", batch);
        Assert.Equal(9_999, answer.Results.Select(r => r.Issued?.TokenId).Where(id => id is not null).Distinct(StringComparer.Ordinal).Count());
        Assert.Equal((int)StatusCode.InvalidArgument, answer.Results[3].Fault.Code);
    }

    [Fact]
    public async Task A_key_lives_from_its_making_to_its_deletion()
    {
        var made = (await server.Admin.CallAsync<CreateKeyResponse>($"{Keys}/CreateKey", new CreateKeyRequest
        {
            Name = "lifecycle",
            Purpose = KeyPurpose.Artifacts,
            Tier = KeyTier.Assured,
            Spec = "RSA_3072",
            Algorithms = { "PS256", "RS256" },
            Owner = "team-a",
            Description = "for a test",
            Tags = { ["team"] = "a", ["env"] = "test" },
            DeletionProtection = true,
        })).Key;
        Assert.Equal(["PS256", "RS256"], made.Algorithms);
        Assert.Equal(VersionState.Active, Assert.Single(made.Versions).State);

        var updated = (await server.Admin.CallAsync<UpdateKeyResponse>($"{Keys}/UpdateKey", new UpdateKeyRequest
        {
            Key = "lifecycle",
            Owner = "team-b",
            DeletionProtection = false,
            RotationPeriod = Duration.FromTimeSpan(TimeSpan.FromDays(10)),
        })).Key;
        Assert.Equal(("team-b", "for a test", false), (updated.Owner, updated.Description, updated.DeletionProtection));
        Assert.Equal(TimeSpan.FromDays(10), updated.RotationPeriod.ToTimeSpan());

        var rotated = await server.Admin.CallAsync<RotateKeyResponse>($"{Keys}/RotateKey", new RotateKeyRequest { Key = made.Id });
        Assert.Equal(2u, rotated.Version.Version);
        var put = await server.Admin.CallAsync<PutAliasResponse>($"{Keys}/PutAlias", new PutAliasRequest { Alias = "prod/life", Key = "lifecycle" });
        Assert.Equal(made.Id, put.Alias.KeyId);
        var found = await server.Admin.CallAsync<GetAliasResponse>($"{Keys}/GetAlias", new GetAliasRequest { Alias = "prod/life" });
        Assert.Equal("lifecycle", found.Alias.KeyName);
        var aliases = await server.Admin.CallAsync<ListAliasesResponse>($"{Keys}/ListAliases", new ListAliasesRequest());
        Assert.Contains(aliases.Aliases, a => a.Alias_ is "prod/life");

        await server.Admin.CallAsync<SignResponse>($"{Signing}/Sign", new SignRequest { Key = "prod/life", Digest = ByteString.CopyFrom(Digest) });
        var uses = await server.Admin.CallAsync<ListKeyVersionsResponse>($"{Keys}/ListKeyVersions", new ListKeyVersionsRequest { Key = "lifecycle" });
        Assert.Equal(1, uses.Versions.Sum(v => v.Uses));
        var revoked = await server.Admin.CallAsync<RevokeKeyVersionResponse>(
            $"{Keys}/RevokeKeyVersion", new RevokeKeyVersionRequest { Key = "lifecycle", Version = 1, Reason = "superseded" });
        Assert.Equal((VersionState.Revoked, "superseded"), (revoked.Version.State, revoked.Version.RevocationReason));

        var disabled = await server.Admin.CallAsync<DisableKeyResponse>($"{Keys}/DisableKey", new DisableKeyRequest { Key = "lifecycle" });
        Assert.Equal(KeyState.Disabled, disabled.Key.State);
        var unusable = await server.Admin.FailAsync<SignResponse>($"{Signing}/Sign", new SignRequest { Key = "lifecycle", Digest = ByteString.CopyFrom(Digest) });
        Assert.Equal("KEY_NOT_USABLE", unusable.Error.Reason);
        var enabled = await server.Admin.CallAsync<EnableKeyResponse>($"{Keys}/EnableKey", new EnableKeyRequest { Key = "lifecycle" });
        Assert.Equal(KeyState.Enabled, enabled.Key.State);

        var listed = await server.Admin.CallAsync<ListKeysResponse>(
            $"{Keys}/ListKeys", new ListKeysRequest { Tags = { ["team"] = "a", ["env"] = "test" } });
        Assert.Equal("lifecycle", Assert.Single(listed.Keys).Name);
        Assert.Empty((await server.Admin.CallAsync<ListKeysResponse>(
            $"{Keys}/ListKeys", new ListKeysRequest { Tags = { ["team"] = "a", ["env"] = "prod" } })).Keys);

        var pending = await server.Admin.CallAsync<ScheduleKeyDeletionResponse>(
            $"{Keys}/ScheduleKeyDeletion", new ScheduleKeyDeletionRequest { Key = "lifecycle", Wait = Duration.FromTimeSpan(TimeSpan.FromDays(7)) });
        Assert.Equal(KeyState.PendingDeletion, pending.Key.State);
        var kept = await server.Admin.CallAsync<CancelKeyDeletionResponse>($"{Keys}/CancelKeyDeletion", new CancelKeyDeletionRequest { Key = "lifecycle" });
        Assert.Equal(KeyState.Disabled, kept.Key.State);
        await server.Admin.CallAsync<DeleteAliasResponse>($"{Keys}/DeleteAlias", new DeleteAliasRequest { Alias = "prod/life" });
        var gone = await server.Admin.FailAsync<GetKeyResponse>($"{Keys}/GetKey", new GetKeyRequest { Key = "prod/life" });
        Assert.Equal(StatusCode.NotFound, gone.Status);
    }

    [Fact]
    public async Task Keys_are_listed_in_pages()
    {
        for (var i = 0; i < 3; i++)
            await server.Admin.CallAsync<CreateKeyResponse>($"{Keys}/CreateKey", new CreateKeyRequest { Name = $"page-{i}", Purpose = KeyPurpose.Tokens, Spec = "ECC_NIST_P256" });
        var names = new List<string>();
        var request = new ListKeysRequest { PageSize = 2, NamePrefix = "page-", Tier = KeyTier.Volume };
        do
        {
            var page = await server.Admin.CallAsync<ListKeysResponse>($"{Keys}/ListKeys", request);
            Assert.InRange(page.Keys.Count, 1, 2);
            Assert.All(page.Keys, k => Assert.Empty(k.Versions));
            names.AddRange(page.Keys.Select(k => k.Name));
            request.PageToken = page.NextPageToken;
        }
        while (request.PageToken.Length > 0);

        Assert.Equal(["page-0", "page-1", "page-2"], names);
    }

    [Fact]
    public async Task A_public_key_is_the_same_as_over_HTTP()
    {
        var answer = await server.Admin.CallAsync<GetPublicKeyResponse>($"{Keys}/GetPublicKey", new GetPublicKeyRequest { Key = "release" });
        var http = await server.Service.Client.GetJsonAsync("/v1/keys/release/public-key?format=der");
        Assert.Equal(http.Body, answer.PublicKey.ToByteArray());
    }
}
