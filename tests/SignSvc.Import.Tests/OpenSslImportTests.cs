using System.ComponentModel;
using System.Diagnostics;
using System.Reflection;
using System.Security.Cryptography;

namespace SignSvc.Import.Tests;

/// <summary>The commands of docs/import.md, as they stand there, run by a shell.</summary>
public sealed class OpenSslImportTests(ServiceFixture fixture) : IClassFixture<ServiceFixture>
{
    private readonly ServiceProcess _service = fixture.Service;

    [Theory]
    [InlineData("ECC_NIST_P256", "RSA_OAEP_SHA_256", "EC -pkeyopt ec_paramgen_curve:P-256")]
    [InlineData("ECC_NIST_P384", "RSA_OAEP_SHA_256", "EC -pkeyopt ec_paramgen_curve:P-384")]
    [InlineData("ECC_NIST_P521", "RSA_OAEP_SHA_256", "EC -pkeyopt ec_paramgen_curve:P-521")]
    [InlineData("ECC_NIST_P256", "RSA_AES_KEY_WRAP_SHA_256", "EC -pkeyopt ec_paramgen_curve:P-256")]
    [InlineData("ECC_NIST_P384", "RSA_AES_KEY_WRAP_SHA_256", "EC -pkeyopt ec_paramgen_curve:P-384")]
    [InlineData("ECC_NIST_P521", "RSA_AES_KEY_WRAP_SHA_256", "EC -pkeyopt ec_paramgen_curve:P-521")]
    [InlineData("RSA_2048", "RSA_AES_KEY_WRAP_SHA_256", "RSA -pkeyopt rsa_keygen_bits:2048")]
    [InlineData("RSA_3072", "RSA_AES_KEY_WRAP_SHA_256", "RSA -pkeyopt rsa_keygen_bits:3072")]
    [InlineData("RSA_4096", "RSA_AES_KEY_WRAP_SHA_256", "RSA -pkeyopt rsa_keygen_bits:4096")]
    public async Task What_openssl_made_and_wrapped_signs_here(string spec, string algorithm, string generation)
    {
        using var folder = new TemporaryFolder();
        var key = await _service.Client.MakeEmptyKeyAsync(spec);
        Assert.Equal("409 key-not-usable", (await _service.Client.PostJsonAsync($"/v1/keys/{key}/sign", """{"message":"AAAA"}""")).Problem());

        var answer = await ShellAsync(
            folder.Path, key, algorithm,
            $"openssl genpkey -quiet -algorithm {generation} -out private.pem\n"
            + Commands("parameters") + Commands(algorithm) + Commands("import"));

        using AsymmetricAlgorithm owner = spec.StartsWith("RSA", StringComparison.Ordinal) ? RSA.Create() : ECDsa.Create();
        owner.ImportFromPem(await File.ReadAllTextAsync(Path.Combine(folder.Path, "private.pem"), TestContext.Current.CancellationToken));
        Assert.Contains("\"origin\":\"imported\"", answer, StringComparison.Ordinal);
        Assert.True(await _service.Client.SignsAsAsync(key, owner));
        var published = await _service.Client.GetJsonAsync($"/v1/keys/{key}/public-key?format=der");
        Assert.Equal(owner.ExportSubjectPublicKeyInfo(), published.Body);
    }

    /// <summary>Everything between the marker's fence and the closing one.</summary>
    private static string Commands(string name)
    {
        var folder = typeof(OpenSslImportTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key is "DocsFolder").Value!;
        var text = File.ReadAllText(Path.Combine(folder, "import.md"));
        var begin = text.IndexOf($"<!-- commands: {name} -->\n```sh\n", StringComparison.Ordinal);
        Assert.True(begin >= 0, $"docs/import.md has no commands {name}.");
        begin = text.IndexOf("```sh\n", begin, StringComparison.Ordinal) + 6;
        return text[begin..text.IndexOf("```", begin, StringComparison.Ordinal)];
    }

    private async Task<string> ShellAsync(string folder, string key, string algorithm, string commands)
    {
        try
        {
            using var shell = Process.Start(new ProcessStartInfo("bash", ["-euo", "pipefail", "-c", commands])
            {
                WorkingDirectory = folder,
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                Environment =
                {
                    ["SIGNSVC_URL"] = _service.Url.ToString().TrimEnd('/'),
                    ["SIGNSVC_TOKEN"] = _service.AdminToken,
                    ["KEY"] = key,
                    ["ALGORITHM"] = algorithm,
                },
            })!;
            var error = shell.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            var output = await shell.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            await shell.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.True(shell.ExitCode == 0, $"ended with {shell.ExitCode} (missing tools: apt-get install openssl curl jq)\n{await error}\n{output}");
            return output;
        }
        catch (Win32Exception e)
        {
            throw new InvalidOperationException("A tool is missing: apt-get install bash openssl curl jq", e);
        }
    }
}

/// <summary>Gone when the test is.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("signsvc-import-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
