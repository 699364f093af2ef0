using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace SignSvc.Clients.Tests.Guides;

/// <summary>
/// Stands for every issuer that the guides configure. The service gets their settings to the letter, and beside them a file
/// with this key, where it would fetch the issuer's.
/// </summary>
internal sealed class PipelineIssuer : IDisposable
{
    private const string Kid = "pipelines";

    private static readonly string[] Guides = ["github-actions.md", "gitlab.md", "tekton-jenkins.md"];

    private readonly RSA _key = RSA.Create(2048);

    /// <summary>The guides' JSON, as environment variables.</summary>
    public async Task<Dictionary<string, string>> SettingsAsync(string folder)
    {
        var keys = Path.Combine(folder, "pipelines.jwks.json");
        var (n, e) = (_key.ExportParameters(false).Modulus, _key.ExportParameters(false).Exponent);
        await File.WriteAllTextAsync(keys, JsonSerializer.Serialize(new
        {
            keys = new[] { new { kty = "RSA", use = "sig", alg = "RS256", kid = Kid, n = Base64UrlEncoder.Encode(n), e = Base64UrlEncoder.Encode(e) } },
        }));
        var settings = new Dictionary<string, string>(StringComparer.Ordinal);
        var issuers = Guides.SelectMany(g => Guide.Read(g).Blocks("json"))
            .SelectMany(b => JsonElement.Parse(b).GetProperty("SignSvc").GetProperty("Access").GetProperty("Issuers").EnumerateArray());
        foreach (var (index, issuer) in issuers.Index())
        {
            var prefix = $"SignSvc__Access__Issuers__{index.ToString(CultureInfo.InvariantCulture)}";
            Flatten(issuer, prefix, settings);
            settings[$"{prefix}__JwksFile"] = keys;
        }

        return settings;
    }

    /// <summary>A token as the platform gives it to a job, for the audience <c>signsvc</c>.</summary>
    public string Token(string issuer, string subject, Dictionary<string, object> claims) => new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
    {
        Issuer = issuer,
        Audience = "signsvc",
        Expires = TimeProvider.System.GetUtcNow().AddMinutes(10).UtcDateTime,
        Claims = new Dictionary<string, object>(claims, StringComparer.Ordinal) { [JwtRegisteredClaimNames.Sub] = subject },
        SigningCredentials = new SigningCredentials(new RsaSecurityKey(_key) { KeyId = Kid }, SecurityAlgorithms.RsaSha256),
    });

    public void Dispose() => _key.Dispose();

    private static void Flatten(JsonElement value, string name, Dictionary<string, string> settings)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var member in value.EnumerateObject())
                    Flatten(member.Value, $"{name}__{member.Name}", settings);
                break;
            case JsonValueKind.Array:
                foreach (var (index, item) in value.EnumerateArray().Index())
                    Flatten(item, $"{name}__{index.ToString(CultureInfo.InvariantCulture)}", settings);
                break;
            default:
                settings[name] = value.ToString();
                break;
        }
    }
}
