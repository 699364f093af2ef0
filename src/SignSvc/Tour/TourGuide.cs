using System.Diagnostics;
using System.IdentityModel.Tokens.Jwt;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.IdentityModel.Tokens;
using SignSvc.Embedded;

namespace SignSvc.Tour;

/// <summary>
/// <c>SignSvc tour FILE</c>: serves as always, and first shows a newcomer the main job over the service's own HTTP API:
/// a file signed and verified by a tool that is not ours, a token issued and verified through the key set.
/// </summary>
public sealed class TourGuide : IDisposable
{
    private readonly HttpClient _http;
    private readonly string _url;
    private readonly string _folder;
    private readonly string _credentialFile;

    private TourGuide(string url, Node node)
    {
        _url = url;
        _credentialFile = node.BootstrapCredentialFile;
        _folder = Path.Combine(node.Settings.Data, "tour");
        _http = new HttpClient { BaseAddress = new Uri(url) };
        _http.DefaultRequestHeaders.Authorization =
            new AuthenticationHeaderValue("Bearer", File.ReadAllText(_credentialFile).Trim());
    }

    /// <exception cref="StartException"><c>tour</c> without a file that exists.</exception>
    public static string? FileToSign(string[] args)
    {
        if (args is not ["tour", ..])
            return null;
        return args is [_, var file, ..] && File.Exists(file)
            ? file
            : throw new StartException("tour needs a file to sign: dotnet run --project src/SignSvc -- tour README.md");
    }

    public static async Task ShowAsync(WebApplication app, Node node, string file)
    {
        try
        {
            using var guide = new TourGuide(app.Services.Addresses().First(), node);
            Directory.CreateDirectory(guide._folder);
            await guide.SignAsync(file);
            await guide.IssueAsync();
            guide.SayHow(file);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SecurityTokenException)
        {
            // The tour is over; the service goes on.
            Console.WriteLine($"\nThe tour stopped: {e.Message}");
        }
    }

    public void Dispose() => _http.Dispose();

    private string PublicKeyFile => Path.Combine(_folder, "release.pem");

    private string SignatureFile => Path.Combine(_folder, "signature.der");

    private async Task SignAsync(string file)
    {
        await using var content = File.OpenRead(file);
        var digest = Convert.ToBase64String(await SHA256.HashDataAsync(content));
        var answer = await PostAsync(
            "/v1/keys/release/sign",
            $$"""{"digest":"{{digest}}","context":{"artifact":{"type":"blob","name":"{{JsonEncodedText.Encode(Path.GetFileName(file))}}"} } }""");
        await File.WriteAllBytesAsync(SignatureFile, answer.GetProperty("signature").GetBytesFromBase64());
        await File.WriteAllTextAsync(PublicKeyFile, await _http.GetStringAsync(new Uri("/v1/keys/release/public-key", UriKind.Relative)));

        Console.WriteLine($"\n1. Signed {file}");
        Console.WriteLine($"   SHA-256    {digest}");
        Console.WriteLine($"   signature  {SignatureFile} ({answer.GetProperty("algorithm")}, key release, protection {answer.GetProperty("protection")})");
        Console.WriteLine($"   on record  audit id {answer.GetProperty("auditId")}");
        Console.WriteLine($"   openssl    {VerifyWithOpenSsl(file)}");
    }

    private async Task IssueAsync()
    {
        var answer = await PostAsync("/v1/tokens", """{"profile":"default","subject":"build-42","audience":"api://deploy","claims":{"env":"prod"}}""");
        var token = answer.GetProperty("token").GetString()!;
        var keys = new JsonWebKeySet(await _http.GetStringAsync(new Uri("/.well-known/jwks.json", UriKind.Relative)));
        new JwtSecurityTokenHandler().ValidateToken(
            token,
            new TokenValidationParameters
            {
                ValidIssuer = _url,
                ValidAudience = "api://deploy",
                ValidTypes = ["at+jwt"],
                IssuerSigningKeys = keys.GetSigningKeys(),
            },
            out var valid);

        Console.WriteLine("\n2. Issued a token for build-42");
        Console.WriteLine($"   token      {token[..40]}… ({token.Length} characters, until {valid.ValidTo:u})");
        Console.WriteLine($"   on record  audit id {answer.GetProperty("auditId")}");
        Console.WriteLine($"   verified   by System.IdentityModel.Tokens.Jwt with kid {answer.GetProperty("kid")} of {_url}/.well-known/jwks.json");
    }

    private void SayHow(string file) => Console.WriteLine(
        $"""

         By hand, in another terminal:
           TOKEN=$(cat {_credentialFile})
           DIGEST=$(openssl dgst -sha256 -binary {file} | base64)
           curl -s {_url}/v1/keys/release/sign -H "Authorization: Bearer $TOKEN" \
                -H 'Content-Type: application/json' -d "{"{\\\"digest\\\":\\\"$DIGEST\\\"}"}"
           openssl dgst -sha256 -verify {PublicKeyFile} -signature {SignatureFile} {file}
           curl -s {_url}/v1/tokens -H "Authorization: Bearer $TOKEN" \
                -H 'Content-Type: application/json' -d '{"{\"profile\":\"default\",\"audience\":\"api://deploy\"}"}'
           curl -s {_url}/.well-known/jwks.json
           curl -s "{_url}/v1/audit?limit=5" -H "Authorization: Bearer $TOKEN"

         SignSvc goes on serving {_url}; Ctrl-C stops it.
         """);

    private async Task<JsonElement> PostAsync(string path, string json)
    {
        using var body = new StringContent(json, Encoding.UTF8, "application/json");
        using var response = await _http.PostAsync(new Uri(path, UriKind.Relative), body);
        response.EnsureSuccessStatusCode();
        using var document = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        return document.RootElement.Clone();
    }

    private string VerifyWithOpenSsl(string file)
    {
        try
        {
            using var openssl = Process.Start(new ProcessStartInfo("openssl", ["dgst", "-sha256", "-verify", PublicKeyFile, "-signature", SignatureFile, file])
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            var said = openssl.StandardOutput.ReadToEnd().Trim();
            openssl.WaitForExit();
            return $"{said} (openssl dgst -sha256 -verify {PublicKeyFile} -signature {SignatureFile} {file})";
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return "is not installed; after 'apt-get install openssl' the command below verifies the signature";
        }
    }
}
