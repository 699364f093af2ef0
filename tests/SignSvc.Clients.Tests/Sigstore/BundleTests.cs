using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Sigstore;

/// <summary>Bundles that the service and signsvc make, judged by both cosigns and by @sigstore/verify, which finds the key by its hint.</summary>
public sealed class BundleTests(RunningService service)
{
    private static readonly object Provenance = new
    {
        buildDefinition = new { buildType = "https://example.com/build/v1", externalParameters = new { target = "ü+/" } },
        runDetails = new { builder = new { id = "https://example.com/builder" } },
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static MatrixTheoryData<string, string> Cases => new(["cosign-2.5", "cosign-3.1"], ["ECC_NIST_P256", "RSA_3072"]);

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task A_bundle_of_a_digest_verifies_everywhere_and_for_another_file_nowhere(string cosign, string spec)
    {
        using var run = await CosignCase.OpenAsync(service, cosign, spec);
        var (file, other) = (await run.BlobAsync("app.tar.gz"), await run.BlobAsync("other.tar.gz"));
        var digest = SHA256.HashData(await File.ReadAllBytesAsync(file, Cancellation));

        var answer = await service.PostAsync($"/v1/keys/{run.Key}/bundle", new { digest, context = new { artifact = new { name = "app.tar.gz" } } }, Cancellation);
        var bundle = await run.WriteAsync("app.bundle", answer.GetProperty("bundle").GetRawText());
        await run.WriteAsync("app.tar.gz.sig", answer.GetProperty("signature").GetString()!);

        AssertDone(await run.VerifyBundleAsync(file, bundle));
        AssertRefused(await run.VerifyBundleAsync(other, bundle));
        if (run.IsOld)
            AssertDone(await run.VerifyBlobAsync(file, proofOf: file));
        await JavaScriptVerifier.MustAcceptAsync(run, bundle, file);
        await JavaScriptVerifier.MustRefuseAsync(run, bundle, other);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task A_statement_verifies_everywhere_for_its_subject_and_type_alone(string cosign, string spec)
    {
        using var run = await CosignCase.OpenAsync(service, cosign, spec);
        var (file, other) = (await run.BlobAsync("app.tar.gz"), await run.BlobAsync("other.tar.gz"));
        var statement = new
        {
            subject = new[] { new { name = "app.tar.gz", digest = new { sha256 = Hex(file) } } },
            predicateType = "https://slsa.dev/provenance/v1",
            predicate = Provenance,
        };

        var answer = await service.PostAsync($"/v1/keys/{run.Key}/bundle", new { statement }, Cancellation);
        var bundle = await run.WriteAsync("app.bundle", answer.GetProperty("bundle").GetRawText());

        AssertDone(await run.VerifyBundleAsync(file, bundle, "slsaprovenance1"));
        AssertRefused(await run.VerifyBundleAsync(other, bundle, "slsaprovenance1"));
        // cosign 2.5 does not compare --type with a bundle's.
        if (!run.IsOld)
            AssertRefused(await run.VerifyBundleAsync(file, bundle, "spdxjson"));
        await JavaScriptVerifier.MustAcceptAsync(run, bundle, artifact: null);
        var tampered = await run.WriteAsync("tampered.bundle", Tamper(answer.GetProperty("bundle")));
        AssertRefused(await run.VerifyBundleAsync(file, tampered, "slsaprovenance1"));
        await JavaScriptVerifier.MustRefuseAsync(run, tampered, artifact: null);
    }

    [Theory]
    [InlineData("cosign-2.5")]
    [InlineData("cosign-3.1")]
    public async Task A_thousand_artifacts_cost_one_signature_and_each_verifies(string cosign)
    {
        using var run = await CosignCase.OpenAsync(service, cosign, "ECC_NIST_P256");
        string[] files = [await run.BlobAsync("first", 100), await run.BlobAsync("middle", 100), await run.BlobAsync("last", 100)];
        var items = Enumerable.Range(0, 997).Select(i => (Name: $"part-{i}", Digest: RandomNumberGenerator.GetBytes(32))).ToList();
        items.Insert(0, ("first", Digest(files[0])));
        items.Insert(500, ("middle", Digest(files[1])));
        items.Add(("last", Digest(files[2])));

        var answer = await service.PostAsync($"/v1/keys/{run.Key}/attest-batch", new
        {
            items = items.Select(i => new { name = i.Name, digest = i.Digest }),
            predicateType = "https://cosign.sigstore.dev/attestation/v1",
            predicate = new { Data = "release 7" },
            context = new { repository = "acme/app" },
        }, Cancellation);
        var bundle = await run.WriteAsync("release.bundle", answer.GetProperty("bundle").GetRawText());

        foreach (var file in files)
            AssertDone(await run.VerifyBundleAsync(file, bundle, "custom"));
        AssertRefused(await run.VerifyBundleAsync(await run.BlobAsync("stranger"), bundle, "custom"));
        await JavaScriptVerifier.MustAcceptAsync(run, bundle, artifact: null);
        var record = Assert.Single(await RecordsAsync(run.Key));
        Assert.Equal(1000, record.GetProperty("context").GetProperty("subjects").GetArrayLength());
        Assert.Equal("acme/app", record.GetProperty("context").GetProperty("repository").GetString());
    }

    /// <summary>A statement is judged by its own subjects: every one of them has to fit.</summary>
    [Theory]
    [InlineData(HttpStatusCode.OK, "acme/app")]
    [InlineData(HttpStatusCode.OK, "acme/app", "acme/tool")]
    [InlineData(HttpStatusCode.Forbidden, "acme/app", "evil/app")]
    [InlineData(HttpStatusCode.Forbidden, "evil/app")]
    public async Task A_policy_sees_the_subjects_of_a_statement(HttpStatusCode expected, params string[] names)
    {
        var name = $"attester-{RandomNumberGenerator.GetHexString(12, lowercase: true)}";
        var credential = await service.PostAsync("/v1/credentials", new { name, roles = new[] { "auditor" } }, Cancellation);
        await service.PostAsync("/v1/keys", new { name, purpose = "artifacts", spec = "ECC_NIST_P256" }, Cancellation);
        await service.PutAsync($"/v1/keys/{name}/policy", new
        {
            statements = new[]
            {
                new
                {
                    effect = "allow",
                    principals = new[] { $"credential:{name}" },
                    actions = new[] { "keys:Sign" },
                    conditions = new
                    {
                        stringLike = new Dictionary<string, string[]>(StringComparer.Ordinal) { ["context.artifact.name"] = ["acme/*"] },
                        stringEquals = new Dictionary<string, string[]>(StringComparer.Ordinal) { ["context.predicateType"] = ["https://example.com/tested"] },
                    },
                },
            },
        }, Cancellation);
        var body = new
        {
            items = names.Select(n => new { name = n, digest = SHA256.HashData("app"u8) }),
            predicateType = "https://example.com/tested",
            predicate = new { passed = true },
        };

        using var request = new HttpRequestMessage(HttpMethod.Post, $"{service.Url}/v1/keys/{name}/attest-batch");
        request.Content = JsonContent.Create(body);
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", credential.GetProperty("token").GetString());
        using var stranger = new HttpClient();
        using var response = await stranger.SendAsync(request, Cancellation);

        Assert.Equal(expected, response.StatusCode);
    }

    [Theory]
    [InlineData("""{"statement":{"subject":[],"predicateType":"https://example.com/p","predicate":{}}}""", "invalid-request")]
    [InlineData("""{"statement":{"subject":[{"name":"a","digest":{"sha256":"00"}}],"predicateType":"https://example.com/p","predicate":{}}}""", "invalid-digest")]
    [InlineData("""{"statement":{"subject":[{"name":"a","digest":{}}],"predicateType":"https://example.com/p","predicate":{}}}""", "invalid-request")]
    [InlineData("""{"statement":{"subject":[{"name":"a","digest":{"sha256":"HEX"}}],"predicateType":"not a uri","predicate":{}}}""", "invalid-request")]
    [InlineData("""{"statement":{"subject":[{"name":"a","digest":{"sha256":"HEX"}}],"predicateType":"https://example.com/p","predicate":[]}}""", "invalid-request")]
    [InlineData("""{"statement":{"subject":[{"name":"a","digest":{"sha256":"HEX"}}],"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{}}}}""", "invalid-request")]
    [InlineData("""{"statement":{"subject":[{"name":"a","digest":{"sha256":"HEX"}}],"predicateType":"https://example.com/p","predicate":{"a":1,"a":2}}}""", "invalid-request")]
    [InlineData("""{"statement":{"subject":[{"name":"a","digest":{"sha256":"HEX"}}],"predicateType":"https://example.com/p","predicate":{}},"context":{"artifact":{"name":"another"}}}""", "invalid-request")]
    [InlineData("""{"statement":{"subject":[{"name":"a","digest":{"sha256":"HEX"}}],"predicateType":"https://example.com/p","predicate":{}},"message":"AA=="}""", "invalid-request")]
    [InlineData("""{"digest":"AAAA"}""", "invalid-digest")]
    [InlineData("""{}""", "invalid-request")]
    [InlineData("""{"digest":"AAAA","surprise":1}""", "invalid-request")]
    public async Task What_no_verifier_should_see_is_not_signed(string body, string code)
    {
        var text = body.Replace("HEX", new string('a', 64), StringComparison.Ordinal);
        using var content = new StringContent(text, System.Text.Encoding.UTF8, "application/json");
        using var response = await service.Admin.PostAsync(new Uri("/v1/keys/release/bundle", UriKind.Relative), content, Cancellation);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var problem = await response.Content.ReadFromJsonAsync<JsonElement>(Cancellation);
        Assert.Equal($"urn:signsvc:problem:{code}", problem.GetProperty("type").GetString());
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Bundles_of_signsvc_verify_in_cosign_and_cosign_s_in_signsvc(string cosign, string spec)
    {
        using var run = await CosignCase.OpenAsync(service, cosign, spec);
        var (file, other) = (await run.BlobAsync("app.tar.gz"), await run.BlobAsync("other.tar.gz"));
        var predicate = await run.WriteAsync("predicate.json", JsonSerializer.Serialize(Provenance));

        AssertDone(await SignsvcAsync(run, "sign-blob", file, "--key", run.Key, "--bundle", run.At("blob.bundle"), "--output-signature", $"{file}.sig"));
        AssertDone(await SignsvcAsync(run, "attest", file, "--key", run.Key, "--predicate", predicate, "--type", "slsaprovenance1", "--bundle", run.At("slsa.bundle")));

        AssertDone(await run.VerifyBundleAsync(file, run.At("blob.bundle")));
        AssertDone(await run.VerifyBundleAsync(file, run.At("slsa.bundle"), "slsaprovenance1"));
        await JavaScriptVerifier.MustAcceptAsync(run, run.At("blob.bundle"), file);
        await AssertSignsvcAsync(run, file, other, "verify-blob", run.At("blob.bundle"));
        await AssertSignsvcAsync(run, file, other, "verify-attestation", run.At("slsa.bundle"), "--type", "slsaprovenance1");
        Assert.Equal(1, (await SignsvcAsync(run, "verify-attestation", file, "--bundle", run.At("slsa.bundle"), "--public-key", run.PublicKey, "--type", "spdxjson")).ExitCode);
        if (run.IsOld)
            return;

        AssertDone(await run.SignBlobAsync(file));
        await AssertSignsvcAsync(run, file, other, "verify-blob", $"{file}.bundle");
        await JavaScriptVerifier.MustAcceptAsync(run, $"{file}.bundle", file);
    }

    /// <summary>With the public key and no service, and by the service.</summary>
    private async Task AssertSignsvcAsync(CosignCase run, string file, string other, string command, string bundle, params string[] options)
    {
        string[] here = [.. options, "--bundle", bundle, "--public-key", run.PublicKey];
        AssertDone(await SignsvcAsync(run, [command, file, .. here]));
        AssertDone(await SignsvcAsync(run, [command, file, .. options, "--bundle", bundle, "--key", run.Key]));
        var refused = await SignsvcAsync(run, [command, other, .. here]);
        Assert.True(refused.ExitCode == 1 && refused.Errors.Contains("NOT valid", StringComparison.Ordinal), $"{refused}");
        using var stranger = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var strangersKey = await run.WriteAsync("stranger.pub", stranger.ExportSubjectPublicKeyInfoPem());
        Assert.Equal(1, (await SignsvcAsync(run, [command, file, .. options, "--bundle", bundle, "--public-key", strangersKey])).ExitCode);
    }

    private async Task<Ended> SignsvcAsync(CosignCase run, params string[] arguments) => await OutsideProgram.RunAsync(
        await Plugin.SignsvcAsync(), arguments, run.Home,
        Plugin.Environment(await Plugin.FolderAsync(), service, service.Token, run.Home), cancellationToken: Cancellation);

    private async Task<JsonElement[]> RecordsAsync(string key)
    {
        var text = await service.GetTextAsync($"/v1/audit?key={key}&action=keys:Sign", Cancellation);
        return JsonElement.Parse(text).GetProperty("records").EnumerateArray().ToArray();
    }

    /// <summary>The payload with another word in it, under the same signature.</summary>
    private static string Tamper(JsonElement bundle)
    {
        var payload = bundle.GetProperty("dsseEnvelope").GetProperty("payload").GetBytesFromBase64();
        var at = payload.AsSpan().IndexOf("example.com"u8);
        payload[at] ^= 1;
        var text = bundle.GetRawText();
        var genuine = bundle.GetProperty("dsseEnvelope").GetProperty("payload").GetString()!;
        return text.Replace(genuine, Convert.ToBase64String(payload), StringComparison.Ordinal);
    }

    private static byte[] Digest(string file) => SHA256.HashData(File.ReadAllBytes(file));

    private static string Hex(string file) => Convert.ToHexStringLower(Digest(file));

    private static void AssertDone(Ended ended) => Assert.True(ended.Succeeded, $"{ended}");

    private static void AssertRefused(Ended ended) => Assert.True(!ended.Succeeded && ended.Errors.Contains("rror", StringComparison.Ordinal), $"{ended}");
}
