using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace SignSvc.Operations.Tests;

/// <summary>A settings file that a service is started with (SIGNSVC_SETTINGS), and a folder beside it that goes with it.</summary>
internal sealed class SettingsFile : IDisposable
{
    public SettingsFile(string json)
    {
        Folder = Directory.CreateTempSubdirectory("signsvc-reload-").FullName;
        Write(json);
    }

    public string Folder { get; }

    public string File => System.IO.Path.Combine(Folder, "settings.json");

    public ServiceOptions Options => new()
    {
        Environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["SIGNSVC_SETTINGS"] = File },
    };

    public void Write(string json)
    {
        // Exchanged as a whole, as mounted maps are.
        System.IO.File.WriteAllText($"{File}.new", json);
        System.IO.File.Move($"{File}.new", File, overwrite: true);
    }

    public string Beside(string name, string content)
    {
        var path = System.IO.Path.Combine(Folder, name);
        System.IO.File.WriteAllText(path, content);
        return path;
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}

/// <summary>An issuer whose keys are in a file; its tokens are good for five minutes.</summary>
internal sealed class FileIssuer(string url)
{
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public string KeySet
    {
        get
        {
            var q = _key.ExportParameters(includePrivateParameters: false).Q;
            return $$"""{"keys":[{"kty":"EC","crv":"P-256","kid":"1","alg":"ES256","use":"sig","x":"{{Base64Url.EncodeToString(q.X)}}","y":"{{Base64Url.EncodeToString(q.Y)}}"}]}""";
        }
    }

    public string Token(string subject)
    {
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
        var input = $"{Encode("""{"alg":"ES256","kid":"1","typ":"JWT"}""")}.{Encode($$"""{"iss":"{{url}}","sub":"{{subject}}","aud":"signsvc","iat":{{now}},"exp":{{now + 300}}}""")}";
        return $"{input}.{Base64Url.EncodeToString(_key.SignData(Encoding.ASCII.GetBytes(input), HashAlgorithmName.SHA256))}";
    }

    private static string Encode(string json) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json));
}
