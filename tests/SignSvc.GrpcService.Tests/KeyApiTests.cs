using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using SignSvc.Grpc.V1;
using StatusCode = SignSvc.Grpc.StatusCode;

namespace SignSvc.GrpcService.Tests;

/// <summary>The rest of a key's life over gRPC: material from elsewhere, certificates, times, who may use it.</summary>
public sealed class KeyApiTests(GrpcServer server)
{
    private const string Keys = "signsvc.v1.Keys";
    private const string Sign = "signsvc.v1.Signing/Sign";

    private static readonly ByteString Digest = ByteString.CopyFrom(SHA256.HashData("app.tar.gz"u8));

    /// <summary>What a caller without any right is refused by: every method asks for the action that HTTP asks for.</summary>
    public static TheoryData<string, IMessage, string> Actions => new()
    {
        { "CreateKey", new CreateKeyRequest { Name = "grpc-new", Purpose = KeyPurpose.Artifacts, Spec = "ECC_NIST_P256" }, "keys:Create" },
        { "GetKey", new GetKeyRequest { Key = "release" }, "keys:Read" },
        { "ListKeys", new ListKeysRequest(), "keys:List" },
        { "UpdateKey", new UpdateKeyRequest { Key = "release", Description = "x" }, "keys:Update" },
        { "EnableKey", new EnableKeyRequest { Key = "release" }, "keys:Enable" },
        { "DisableKey", new DisableKeyRequest { Key = "release" }, "keys:Disable" },
        { "ScheduleKeyDeletion", new ScheduleKeyDeletionRequest { Key = "release" }, "keys:ScheduleDeletion" },
        { "CancelKeyDeletion", new CancelKeyDeletionRequest { Key = "release" }, "keys:CancelDeletion" },
        { "GetPublicKey", new GetPublicKeyRequest { Key = "release" }, "keys:Read" },
        { "RotateKey", new RotateKeyRequest { Key = "release" }, "keys:Rotate" },
        { "RevokeKeyVersion", new RevokeKeyVersionRequest { Key = "release", Version = 1 }, "keys:Revoke" },
        { "ListKeyVersions", new ListKeyVersionsRequest { Key = "release" }, "keys:Read" },
        { "GetKeyTimeline", new GetKeyTimelineRequest { Key = "release" }, "keys:Read" },
        { "RewrapKey", new RewrapKeyRequest { Key = "tokens" }, "keys:Rewrap" },
        { "PutCertificateChain", new PutCertificateChainRequest { Key = "release", Version = 1, Pem = "x" }, "keys:Update" },
        { "PutAlias", new PutAliasRequest { Alias = "grpc/denied", Key = "release" }, "aliases:Put" },
        { "GetAlias", new GetAliasRequest { Alias = "grpc/denied" }, "keys:Read" },
        { "ListAliases", new ListAliasesRequest(), "keys:List" },
        { "DeleteAlias", new DeleteAliasRequest { Alias = "grpc/denied" }, "aliases:Delete" },
        { "GetImportParameters", new GetImportParametersRequest { Key = "release" }, "keys:Import" },
        { "ImportKeyMaterial", new ImportKeyMaterialRequest { Key = "release", Token = "x", Algorithm = "RSA_AES_KEY_WRAP_SHA_256", WrappedKey = ByteString.CopyFrom(new byte[600]) }, "keys:Import" },
        { "GetKeyPolicy", new GetKeyPolicyRequest { Key = "release" }, "policies:Read" },
        { "PutKeyPolicy", new PutKeyPolicyRequest { Key = "release", Document = """{"statements":[]}""" }, "policies:Put" },
        { "DeleteKeyPolicy", new DeleteKeyPolicyRequest { Key = "release" }, "policies:Delete" },
        { "CreateGrant", new CreateGrantRequest { Key = "release", Grantee = "credential:ci", Operations = { "keys:Sign" } }, "grants:Create" },
        { "ListGrants", new ListGrantsRequest { Key = "release" }, "grants:Read" },
        { "RevokeGrant", new RevokeGrantRequest { Key = "release", Grant = "x" }, "grants:Revoke" },
        { "RetireGrant", new RetireGrantRequest { Key = "release", Grant = "x" }, "grants:Retire" },
    };

    [Fact]
    public void No_method_of_keys_is_left_out_of_the_table_of_actions() => Assert.Equal(
        KeysReflection.Descriptor.Services[0].Methods.Select(m => m.Name).Order(StringComparer.Ordinal),
        Actions.Select(row => row.Data.Item1).Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Actions))]
    public async Task A_method_is_refused_to_who_has_no_right_and_says_on_record_which(string method, IMessage request, string action)
    {
        var made = await server.Service.Client.PostJsonAsync("/v1/credentials", $$"""{"name":"grpc-{{method.ToLowerInvariant()}}","roles":["serviceAccountSigner"]}""");
        Assert.Equal(201, made.Code);
        using var powerless = server.As(made["token"]);
        var end = await powerless.FailAsync<Empty>($"{Keys}/{method}", request);
        Assert.Equal((StatusCode.PermissionDenied, "FORBIDDEN"), (end.Status, end.Error.Reason));
        var record = await GrpcServer.RecordAsync(server.Service, end.Trailers["signsvc-audit-id"]);
        Assert.Equal((action, "denied"), (record.GetProperty("action").GetString(), record.GetProperty("outcome").GetString()));
    }

    [Fact]
    public async Task Material_from_elsewhere_is_imported_and_signs()
    {
        var made = (await CallAsync<CreateKeyResponse>("CreateKey", new CreateKeyRequest
        {
            Name = "brought",
            Purpose = KeyPurpose.Artifacts,
            Spec = "ECC_NIST_P256",
            Origin = KeyOrigin.Imported,
            RotationLead = Duration.FromTimeSpan(TimeSpan.Zero),
        })).Key;
        Assert.Equal(KeyOrigin.Imported, made.Origin);
        Assert.Empty(made.Versions);
        var none = await server.Admin.FailAsync<GetPublicKeyResponse>($"{Keys}/GetPublicKey", new GetPublicKeyRequest { Key = "brought" });
        Assert.Equal(StatusCode.NotFound, none.Status);

        using var outside = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var parameters = await CallAsync<GetImportParametersResponse>("GetImportParameters", new GetImportParametersRequest { Key = "brought" });
        Assert.Contains("RSA_OAEP_SHA_256", parameters.Algorithms, StringComparer.Ordinal);
        using var wrapping = RSA.Create();
        wrapping.ImportSubjectPublicKeyInfo(parameters.WrappingPublicKey.Span, out _);
        var import = new ImportKeyMaterialRequest
        {
            Key = "brought",
            Token = parameters.Token,
            Algorithm = "RSA_OAEP_SHA_256",
            WrappedKey = ByteString.CopyFrom(wrapping.Encrypt(outside.ExportPkcs8PrivateKey(), RSAEncryptionPadding.OaepSHA256)),
        };
        var imported = await CallAsync<ImportKeyMaterialResponse>("ImportKeyMaterial", import);
        Assert.Equal((KeyOrigin.Imported, 1u), (imported.Version.Origin, imported.Version.Version));
        Assert.Equal(outside.ExportSubjectPublicKeyInfo(), imported.Version.PublicKey.ToByteArray());
        Assert.Equal(imported.Version, Assert.Single(imported.Key.Versions));

        var again = await server.Admin.FailAsync<ImportKeyMaterialResponse>($"{Keys}/ImportKeyMaterial", import);
        Assert.NotEqual(StatusCode.Ok, again.Status);
        var signed = await server.Admin.CallAsync<SignResponse>(Sign, new SignRequest { Key = "brought", Digest = Digest });
        Assert.True(outside.VerifyHash(Digest.Span, signed.Signature.Span, DSASignatureFormat.Rfc3279DerSequence));
    }

    [Fact]
    public async Task A_key_is_made_disabled_with_aliases_and_rotated_once_by_those_who_read_the_same()
    {
        var made = (await CallAsync<CreateKeyResponse>("CreateKey", new CreateKeyRequest
        {
            Name = "prepared",
            Purpose = KeyPurpose.Artifacts,
            Spec = "ECC_NIST_P256",
            Disabled = true,
            Aliases = { "prod/prepared" },
        })).Key;
        Assert.Equal((KeyState.Disabled, "prod/prepared"), (made.State, Assert.Single(made.Aliases)));
        var enabled = (await CallAsync<EnableKeyResponse>("EnableKey", new EnableKeyRequest { Key = "prod/prepared", Etag = made.Etag })).Key;

        var rotate = new RotateKeyRequest { Key = "prepared", Etag = enabled.Etag };
        Assert.Equal(2u, (await CallAsync<RotateKeyResponse>("RotateKey", rotate)).Version.Version);
        var again = await server.Admin.FailAsync<RotateKeyResponse>($"{Keys}/RotateKey", rotate);
        Assert.Equal("PRECONDITION_FAILED", again.Error.Reason);
    }

    [Fact]
    public async Task What_its_backend_does_not_have_is_not_adopted()
    {
        var refused = await server.Admin.FailAsync<CreateKeyResponse>($"{Keys}/CreateKey", new CreateKeyRequest
        {
            Name = "adopted",
            Purpose = KeyPurpose.Artifacts,
            Spec = "ECC_NIST_P256",
            Adopt = "id:c10e",
        });
        var http = await server.Service.Client.PostJsonAsync(
            "/v1/keys", """{"name":"adopted","purpose":"artifacts","spec":"ECC_NIST_P256","adopt":"id:c10e"}""");
        Assert.Equal(http["detail"], refused.Message);
        var multiRegion = await server.Admin.FailAsync<CreateKeyResponse>($"{Keys}/CreateKey", new CreateKeyRequest
        {
            Name = "adopted",
            Purpose = KeyPurpose.Tokens,
            Spec = "ECC_NIST_P256",
            MultiRegion = true,
        });
        Assert.Equal((StatusCode.InvalidArgument, "INVALID_REQUEST"), (multiRegion.Status, multiRegion.Error.Reason));
    }

    [Fact]
    public async Task A_timeline_says_what_HTTP_says_and_a_volume_key_is_wrapped_anew()
    {
        await CallAsync<CreateKeyResponse>("CreateKey", new CreateKeyRequest
        {
            Name = "timed",
            Purpose = KeyPurpose.Tokens,
            Spec = "ECC_NIST_P256",
            RotationPeriod = Duration.FromTimeSpan(TimeSpan.FromDays(20)),
        });
        var rotated = await CallAsync<RotateKeyResponse>("RotateKey", new RotateKeyRequest { Key = "timed" });
        Assert.Equal(VersionState.Announced, rotated.Version.State);

        var timeline = await CallAsync<GetKeyTimelineResponse>("GetKeyTimeline", new GetKeyTimelineRequest { Key = "timed" });
        var http = await server.Service.Client.GetJsonAsync("/v1/keys/timed/timeline");
        Assert.Equal("timed", timeline.KeyName);
        Assert.Equal(http.Json.GetProperty("due").EnumerateArray().Select(d => d.GetString()!), timeline.Due, StringComparer.Ordinal);
        Assert.Equal([VersionState.Active, VersionState.Announced], timeline.Versions.Select(v => v.Version.State));
        foreach (var (version, shown) in http.Json.GetProperty("versions").EnumerateArray().Zip(timeline.Versions))
        {
            Assert.Equal(version.GetProperty("kid").GetString(), shown.Version.Kid);
            Assert.Equal(version.GetProperty("signsFrom").GetDateTimeOffset(), shown.Version.SignsFrom.ToDateTimeOffset());
        }

        var rewrapped = await CallAsync<RewrapKeyResponse>("RewrapKey", new RewrapKeyRequest { Key = "timed" });
        Assert.Equal(2, rewrapped.Key.Versions.Count);
        // A volume key always has a period: where a change leaves it out, it has its usual one.
        var changed = await CallAsync<UpdateKeyResponse>(
            "UpdateKey", new UpdateKeyRequest { Key = "timed", RotationPeriod = Duration.FromTimeSpan(TimeSpan.Zero) });
        Assert.Equal(TimeSpan.FromDays(30), changed.Key.RotationPeriod.ToTimeSpan());
        Assert.False(changed.Key.RotationStandby);
        changed = await CallAsync<UpdateKeyResponse>(
            "UpdateKey",
            new UpdateKeyRequest { Key = "timed", RotationPeriod = Duration.FromTimeSpan(TimeSpan.FromDays(20)), RotationJitter = Duration.FromTimeSpan(TimeSpan.FromHours(1)) });
        changed = await CallAsync<UpdateKeyResponse>("UpdateKey", new UpdateKeyRequest { Key = "timed", RotationStandby = true });
        Assert.True(changed.Key.RotationStandby);
        // What is not named stays.
        changed = await CallAsync<UpdateKeyResponse>("UpdateKey", new UpdateKeyRequest { Key = "timed", RotationLead = Duration.FromTimeSpan(TimeSpan.FromHours(2)) });
        Assert.Equal(
            (TimeSpan.FromDays(20), TimeSpan.FromHours(2), TimeSpan.FromHours(1), true),
            (changed.Key.RotationPeriod.ToTimeSpan(), changed.Key.RotationLead.ToTimeSpan(), changed.Key.RotationJitter.ToTimeSpan(), changed.Key.RotationStandby));
        changed = await CallAsync<UpdateKeyResponse>("UpdateKey", new UpdateKeyRequest { Key = "timed", RotationStandby = false });
        Assert.Equal((TimeSpan.FromHours(2), false), (changed.Key.RotationLead.ToTimeSpan(), changed.Key.RotationStandby));
        var timelineOfStandby = await CallAsync<CreateKeyResponse>(
            "CreateKey", new CreateKeyRequest { Name = "stood-by", Purpose = KeyPurpose.Tokens, Spec = "ECC_NIST_P256", RotationStandby = true });
        Assert.True(timelineOfStandby.Key.RotationStandby);
    }

    [Fact]
    public async Task A_change_on_condition_is_made_once()
    {
        var made = (await CallAsync<CreateKeyResponse>("CreateKey", new CreateKeyRequest { Name = "tagged", Purpose = KeyPurpose.Artifacts, Spec = "ECC_NIST_P256" })).Key;
        var http = await server.Service.Client.GetJsonAsync("/v1/keys/tagged");
        Assert.Equal(http["etag"], made.Etag);
        var changed = (await CallAsync<UpdateKeyResponse>(
            "UpdateKey", new UpdateKeyRequest { Key = "tagged", Description = "one", Etag = made.Etag })).Key;
        Assert.NotEqual(made.Etag, changed.Etag, StringComparer.Ordinal);

        foreach (var (method, late) in new (string, IMessage)[]
        {
            ("UpdateKey", new UpdateKeyRequest { Key = "tagged", Description = "two", Etag = made.Etag }),
            ("DisableKey", new DisableKeyRequest { Key = "tagged", Etag = made.Etag }),
            ("EnableKey", new EnableKeyRequest { Key = "tagged", Etag = made.Etag }),
            ("ScheduleKeyDeletion", new ScheduleKeyDeletionRequest { Key = "tagged", Etag = made.Etag }),
            ("PutAlias", new PutAliasRequest { Alias = "grpc/tagged", Key = "tagged", Etag = made.Etag }),
        })
        {
            var refused = await server.Admin.FailAsync<Empty>($"{Keys}/{method}", late);
            Assert.Equal((StatusCode.Aborted, "PRECONDITION_FAILED"), (refused.Status, refused.Error.Reason));
        }

        Assert.Equal(changed, (await CallAsync<GetKeyResponse>("GetKey", new GetKeyRequest { Key = "tagged" })).Key);
    }

    [Fact]
    public async Task A_certificate_of_the_version_stands_in_its_JWK()
    {
        await CallAsync<CreateKeyResponse>("CreateKey", new CreateKeyRequest { Name = "certified", Purpose = KeyPurpose.Artifacts, Spec = "ECC_NIST_P256" });
        var spki = (await CallAsync<GetPublicKeyResponse>("GetPublicKey", new GetPublicKeyRequest { Key = "certified" })).PublicKey;
        var certificate = Certify(spki.ToByteArray());
        await CallAsync<PutCertificateChainResponse>(
            "PutCertificateChain", new PutCertificateChainRequest { Key = "certified", Version = 1, Pem = certificate.ExportCertificatePem() });

        var jwk = await server.Service.Client.GetJsonAsync("/v1/keys/certified/public-key?format=jwk");
        Assert.Equal(Convert.ToBase64String(certificate.RawData), jwk.Json.GetProperty("x5c")[0].GetString());
        var foreign = await server.Admin.FailAsync<PutCertificateChainResponse>(
            $"{Keys}/PutCertificateChain", new PutCertificateChainRequest { Key = "release", Version = 1, Pem = certificate.ExportCertificatePem() });
        Assert.Equal("INVALID_REQUEST", foreign.Error.Reason);
    }

    [Fact]
    public async Task A_policy_of_a_key_is_the_one_that_HTTP_shows_and_holds_at_once()
    {
        await CallAsync<CreateKeyResponse>("CreateKey", new CreateKeyRequest { Name = "guarded", Purpose = KeyPurpose.Artifacts, Spec = "ECC_NIST_P256" });
        using var signer = server.As(await GrpcServer.NewCredentialAsync(server.Service, "grpc-guarded", "signer"));
        await signer.CallAsync<SignResponse>(Sign, new SignRequest { Key = "guarded", Digest = Digest });
        var before = await CallAsync<GetKeyPolicyResponse>("GetKeyPolicy", new GetKeyPolicyRequest { Key = "guarded" });
        Assert.Equal("""{"statements":[]}""", before.Policy.Document);
        Assert.Null(before.Policy.ChangedAt);

        const string document = """{"statements":[{"sid":"not-here","effect":"deny","principals":["credential:grpc-guarded"],"actions":["keys:Sign"]}]}""";
        var put = await CallAsync<PutKeyPolicyResponse>("PutKeyPolicy", new PutKeyPolicyRequest { Key = "guarded", Document = document });
        Assert.Equal("credential:bootstrap", put.Policy.ChangedBy);
        var http = await server.Service.Client.GetJsonAsync("/v1/keys/guarded/policy");
        Assert.Equal(http.Json.GetProperty("document").GetRawText(), put.Policy.Document);
        var denied = await signer.FailAsync<SignResponse>(Sign, new SignRequest { Key = "guarded", Digest = Digest });
        Assert.Equal(StatusCode.PermissionDenied, denied.Status);

        foreach (var wrong in new[] { "", "null", "{", """{"statements":[{"effect":"perhaps"}]}""", """{"statements":[],"statements":[]}""" })
        {
            var refused = await server.Admin.FailAsync<PutKeyPolicyResponse>(
                $"{Keys}/PutKeyPolicy", new PutKeyPolicyRequest { Key = "guarded", Document = wrong });
            Assert.True(refused.Error.Reason is "INVALID_REQUEST", $"{wrong}: {refused}");
        }

        await CallAsync<DeleteKeyPolicyResponse>("DeleteKeyPolicy", new DeleteKeyPolicyRequest { Key = "guarded" });
        await signer.CallAsync<SignResponse>(Sign, new SignRequest { Key = "guarded", Digest = Digest });
    }

    [Fact]
    public async Task A_denial_on_an_alias_binds_who_would_move_or_delete_it()
    {
        foreach (var name in new[] { "named", "renamed" })
            await CallAsync<CreateKeyResponse>("CreateKey", new CreateKeyRequest { Name = name, Purpose = KeyPurpose.Artifacts, Spec = "ECC_NIST_P256" });
        await CallAsync<PutAliasResponse>("PutAlias", new PutAliasRequest { Alias = "grpc/prod", Key = "named" });
        using var caller = server.As(await GrpcServer.NewCredentialAsync(server.Service, "grpc-namer", "operator"));
        Assert.Equal(200, (await server.Service.Client.CallAsync(
            HttpMethod.Put, "/v1/policies/grpc-names", """{"statements":[{"effect":"deny","principals":["credential:grpc-namer"],"actions":["aliases:*"],"resources":["alias/grpc/prod"]}]}""")).Code);

        var move = await caller.FailAsync<PutAliasResponse>($"{Keys}/PutAlias", new PutAliasRequest { Alias = "grpc/prod", Key = "renamed" });
        var end = await caller.FailAsync<DeleteAliasResponse>($"{Keys}/DeleteAlias", new DeleteAliasRequest { Alias = "grpc/prod" });
        Assert.Equal((StatusCode.PermissionDenied, StatusCode.PermissionDenied), (move.Status, end.Status));
        await caller.CallAsync<PutAliasResponse>($"{Keys}/PutAlias", new PutAliasRequest { Alias = "grpc/dev", Key = "renamed" });
    }

    [Fact]
    public async Task A_grant_lends_a_key_within_its_bounds_until_it_is_taken_back()
    {
        await CallAsync<CreateKeyResponse>("CreateKey", new CreateKeyRequest { Name = "lent", Purpose = KeyPurpose.Artifacts, Spec = "ECC_NIST_P256" });
        var made = await server.Service.Client.PostJsonAsync("/v1/credentials", """{"name":"grpc-grantee","roles":["serviceAccountSigner"]}""");
        using var grantee = server.As(made["token"]);
        var wish = new CreateGrantRequest
        {
            Key = "lent",
            Grantee = "credential:grpc-grantee",
            Operations = { "keys:Sign" },
            Name = "ci",
            Constraints = """{"stringEquals":{"context.ref":"refs/heads/main"}}""",
            ExpiresAt = Timestamp.FromDateTimeOffset(new DateTimeOffset(2100, 1, 1, 0, 0, 0, TimeSpan.Zero)),
            MaxUses = 2,
        };
        var given = await CallAsync<CreateGrantResponse>("CreateGrant", wish);
        Assert.NotEmpty(given.Token);
        Assert.Equal((2u, 2u, "ci"), (given.Grant.MaxUses, given.Grant.UsesLeft, given.Grant.Name));
        Assert.Equal(given.Grant.Id, (await CallAsync<CreateGrantResponse>("CreateGrant", wish)).Grant.Id);

        var within = new SignRequest { Key = "lent", Digest = Digest, Context = new SigningContext { Ref = "refs/heads/main" } };
        await grantee.CallAsync<SignResponse>(Sign, within);
        var outside = await grantee.FailAsync<SignResponse>(Sign, new SignRequest { Key = "lent", Digest = Digest });
        Assert.Equal(StatusCode.PermissionDenied, outside.Status);
        var listed = Assert.Single((await CallAsync<ListGrantsResponse>("ListGrants", new ListGrantsRequest { Key = "lent" })).Grants);
        Assert.Equal(1u, listed.UsesLeft);
        using (var constraints = JsonDocument.Parse(listed.Constraints))
            Assert.Equal("refs/heads/main", constraints.RootElement.GetProperty("stringEquals").GetProperty("context.ref")[0].GetString());

        await CallAsync<RevokeGrantResponse>("RevokeGrant", new RevokeGrantRequest { Key = "lent", Grant = listed.Id });
        Assert.Equal(StatusCode.PermissionDenied, (await grantee.FailAsync<SignResponse>(Sign, within)).Status);

        var second = await CallAsync<CreateGrantResponse>("CreateGrant", wish);
        await grantee.CallAsync<RetireGrantResponse>($"{Keys}/RetireGrant", new RetireGrantRequest { Key = "lent", Grant = second.Grant.Id });
        Assert.Empty((await CallAsync<ListGrantsResponse>("ListGrants", new ListGrantsRequest { Key = "lent" })).Grants);
    }

    private Task<T> CallAsync<T>(string method, IMessage request)
        where T : IMessage<T>, new() => server.Admin.CallAsync<T>($"{Keys}/{method}", request);

    /// <summary>A certificate of a public key whose private key is not here, by an authority of the test's own.</summary>
    private static X509Certificate2 Certify(byte[] spki)
    {
        using var authority = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var subject = PublicKey.CreateFromSubjectPublicKeyInfo(spki, out _);
        var request = new CertificateRequest(new X500DistinguishedName("CN=release"), subject, HashAlgorithmName.SHA256);
        var from = new DateTimeOffset(2020, 1, 1, 0, 0, 0, TimeSpan.Zero);
        return request.Create(
            new X500DistinguishedName("CN=authority"), X509SignatureGenerator.CreateForECDsa(authority), from, from.AddYears(60), [1, 2, 3]);
    }
}
