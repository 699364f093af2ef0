using System.Security.Cryptography;
using System.Text;

namespace SignSvc.Cli.Tests;

public sealed class SigningTests : IDisposable
{
    private readonly RunningService _service;
    private readonly CommandLine _signsvc;
    private readonly string _file;

    public SigningTests(RunningService service)
    {
        _service = service;
        _signsvc = new CommandLine(service);
        _file = _signsvc.Folder.Write("app.tar.gz", $"artifact {RandomNumberGenerator.GetHexString(16)}");
    }

    public void Dispose() => _signsvc.Dispose();

    [Fact]
    public async Task The_signature_alone_is_on_standard_output_and_holds()
    {
        var signed = (await _signsvc.RunAsync("sign", _file)).Ended(0);

        Assert.True(await HoldsAsync(Convert.FromBase64String(signed.Text.TrimEnd('\n')), DSASignatureFormat.Rfc3279DerSequence));
        Assert.Contains("protection software", signed.Errors, StringComparison.Ordinal);
        Assert.Contains("audit local-", signed.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Encoding_and_format_are_the_caller_s_choice()
    {
        (await _signsvc.RunAsync("sign", _file, "--encoding", "p1363", "--format", "raw", "--output-signature", "raw.sig")).Ended(0);

        var signature = await File.ReadAllBytesAsync(_signsvc.Folder.At("raw.sig"), TestContext.Current.CancellationToken);
        Assert.Equal(64, signature.Length);
        Assert.True(await HoldsAsync(signature, DSASignatureFormat.IeeeP1363FixedFieldConcatenation));
        (await _signsvc.RunAsync("verify", _file, "--signature", "raw.sig", "--encoding", "p1363")).Ended(0);
    }

    [Theory]
    [InlineData("ECC_NIST_P384", null)]
    [InlineData("ECC_NIST_P521", null)]
    [InlineData("RSA_3072", null)]
    [InlineData("RSA_2048", "PS512")]
    public async Task The_hash_is_that_of_the_key_s_algorithm_and_both_ways_of_verifying_agree(string spec, string? algorithm)
    {
        var key = $"spec-{spec.ToLowerInvariant().Replace('_', '-')}";
        string[] chosen = algorithm is null ? [] : ["--algorithm", algorithm];
        (await _signsvc.RunAsync(["keys", "create", key, "--spec", spec, .. chosen])).Ended(0);
        (await _signsvc.RunAsync("keys", "public-key", key, "--output-file", "key.pem")).Ended(0);

        (await _signsvc.RunAsync(["sign", _file, "--key", key, "--output-signature", "app.sig"])).Ended(0);
        var there = (await _signsvc.RunAsync("verify", _file, "--key", key, "--signature", "app.sig", "-o", "json")).Ended(0);
        using var nowhere = new CommandLine();
        var here = (await nowhere.RunAsync(
            ["verify", _file, "--public-key", _signsvc.Folder.At("key.pem"), "--signature", _signsvc.Folder.At("app.sig"), "-o", "json", .. chosen])).Ended(0);

        Assert.Equal("""{"valid":true,"version":1}""", there.Text.Trim());
        Assert.True(here.Json.GetProperty("valid").GetBoolean());
    }

    [Fact]
    public async Task A_changed_file_is_not_valid()
    {
        (await _signsvc.RunAsync("sign", _file, "--output-signature", "app.sig")).Ended(0);
        (await _signsvc.RunAsync("keys", "public-key", "release", "--output-file", "key.pem")).Ended(0);
        await File.AppendAllTextAsync(_file, "!", TestContext.Current.CancellationToken);

        var there = (await _signsvc.RunAsync("verify", _file, "--signature", "app.sig")).Ended(1);
        var here = (await _signsvc.RunAsync("verify", _file, "--signature", "app.sig", "--public-key", "key.pem", "-o", "json")).Ended(1);

        Assert.Contains("NOT valid", there.Errors, StringComparison.Ordinal);
        Assert.Equal("", there.Text);
        Assert.False(here.Json.GetProperty("valid").GetBoolean());
    }

    [Fact]
    public async Task Standard_input_is_signed_as_the_file_is()
    {
        var content = await File.ReadAllBytesAsync(_file, TestContext.Current.CancellationToken);
        (await _signsvc.RunAsync(content, "sign", "-", "--output-signature", "app.sig")).Ended(0);

        (await _signsvc.RunAsync("verify", _file, "--signature", "app.sig")).Ended(0);
        (await _signsvc.RunAsync(content, "verify", "-", "--signature", "app.sig")).Ended(0);
        (await _signsvc.RunAsync("other"u8.ToArray(), "verify", "-", "--signature", "app.sig")).Ended(1);
    }

    [Fact]
    public async Task A_large_file_is_hashed_in_bounded_memory()
    {
        const long length = 200L * 1024 * 1024;
        await using (var sparse = File.Create(_signsvc.Folder.At("large")))
            sparse.SetLength(length);

        // A heap of 32 MiB in hex: whoever reads the file into memory dies.
        _signsvc.Set("DOTNET_GCHeapHardLimit", "2000000");
        var signed = (await _signsvc.RunAsync("sign", "large", "--output", "json")).Ended(0);

        var record = await FindAsync(signed.Json.GetProperty("auditId").GetString()!);
        Assert.Equal(Convert.ToBase64String(HashOfZeros(length)), record.GetProperty("digest").GetString());
    }

    [Fact]
    public async Task The_context_reaches_the_audit()
    {
        var signed = (await _signsvc.RunAsync(
            "sign", _file, "--artifact-type", "container", "--artifact-uri", "oci://registry.example/app", "--repository", "example/app",
            "--commit", "0123abc", "--ref", "refs/tags/v1", "--run", "42", "--output", "json")).Ended(0);

        var context = (await FindAsync(signed.Json.GetProperty("auditId").GetString()!)).GetProperty("context");
        Assert.Equal(
            """{"artifact":{"type":"container","name":"app.tar.gz","uri":"oci://registry.example/app"},"repository":"example/app","commit":"0123abc","ref":"refs/tags/v1","run":"42"}""",
            context.GetRawText());
    }

    [Fact]
    public async Task A_path_that_cannot_be_written_costs_no_signature()
    {
        var run = (await _signsvc.RunAsync("sign", _file, "--output-signature", "no/such/folder/app.sig")).Ended(2);

        Assert.Contains("cannot be written", run.Errors, StringComparison.Ordinal);
        var hex = Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(_file, TestContext.Current.CancellationToken)));
        var found = (await _signsvc.RunAsync("audit", "search", "--digest", $"sha256:{hex}", "--output", "json")).Ended(0);
        Assert.Equal(0, found.Json.GetProperty("records").GetArrayLength());
    }

    [Fact]
    public async Task A_refused_signature_leaves_no_empty_file()
    {
        (await _signsvc.RunAsync("sign", _file, "--key", "nobody", "--output-signature", "app.sig")).Ended(3);

        Assert.False(File.Exists(_signsvc.Folder.At("app.sig")));
    }

    [Fact]
    public async Task A_signature_replaces_a_longer_one()
    {
        _signsvc.Folder.Write("app.sig", new string('x', 5000));

        (await _signsvc.RunAsync("sign", _file, "--output-signature", "app.sig")).Ended(0);
        (await _signsvc.RunAsync("verify", _file, "--signature", "app.sig")).Ended(0);
    }

    private async Task<bool> HoldsAsync(byte[] signature, DSASignatureFormat format)
    {
        using var key = ECDsa.Create();
        key.ImportFromPem(Encoding.ASCII.GetString(await _service.GetAsync("/v1/keys/release/public-key")));
        var content = await File.ReadAllBytesAsync(_file, TestContext.Current.CancellationToken);
        return key.VerifyData(content, signature, HashAlgorithmName.SHA256, format);
    }

    private async Task<System.Text.Json.JsonElement> FindAsync(string auditId) =>
        (await _signsvc.RunAsync("audit", "search", "--audit-id", auditId, "--output", "json")).Ended(0).Json.GetProperty("records")[0];

    private static byte[] HashOfZeros(long length)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var zeros = new byte[1024 * 1024];
        for (var done = 0L; done < length; done += zeros.Length)
            hash.AppendData(zeros);
        return hash.GetHashAndReset();
    }
}
