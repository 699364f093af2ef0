using System.CommandLine;
using SignSvc.Cli.Http;
using SignSvc.Cli.Signing;
using SignSvc.Signing.Keys;

namespace SignSvc.Cli.Sigstore;

/// <summary>Who verifies: this process with a public key and nobody else, or the service, which knows what was revoked.</summary>
internal sealed class BundleVerifier : IDisposable
{
    public static readonly Option<string> Bundle = new("--bundle") { HelpName = "file", Required = true, Description = "The file with the bundle." };
    public static readonly Option<string> Key = Parameters.KeyOption();
    public static readonly Option<string?> PublicKeyPath = Parameters.Text("--public-key", "file", "Verifies here with this public key (PEM), and asks nobody.");

    private readonly string _name;
    private readonly PublicKey? _publicKey;
    private readonly ServiceClient? _service;

    private BundleVerifier(string name, PublicKey? publicKey, ServiceClient? service, SigningAlgorithm algorithm)
    {
        _name = name;
        _publicKey = publicKey;
        _service = service;
        Algorithm = algorithm;
    }

    /// <summary>With which the signature must have been made: the key's, never the bundle's wish.</summary>
    public SigningAlgorithm Algorithm { get; }

    public static void AddTo(Command command)
    {
        command.Add(Bundle);
        command.Add(Key);
        command.Add(PublicKeyPath);
        command.Add(ArtifactDigest.Algorithm);
        command.Validators.Add(result =>
        {
            if (result.GetResult(PublicKeyPath) is not null && result.GetResult(Key) is { Implicit: false })
                result.AddError("Give either --key or --public-key.");
        });
    }

    public static async Task<BundleVerifier> OpenAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        var named = parsed.GetValue(ArtifactDigest.Algorithm);
        if (parsed.GetValue(PublicKeyPath) is { } path)
        {
            var key = await PublicKeyFile.ReadAsync(path, cancellationToken);
            var algorithm = named is null ? key.Spec.Algorithms[0] : SigningAlgorithm.Parse(named);
            return key.Spec.CanSignWith(algorithm)
                ? new BundleVerifier($"kid {key.Kid}", key, service: null, algorithm)
                : throw CommandException.Usage($"{path} is a {key.Spec} key: it does not sign with {algorithm}.");
        }

        var service = ServiceClient.Connect(parsed);
        var name = parsed.GetRequiredValue(Key);
        try
        {
            return new BundleVerifier(name, publicKey: null, service, await ArtifactDigest.ChooseAsync(named, name, service, cancellationToken));
        }
        catch
        {
            service.Dispose();
            throw;
        }
    }

    public void Dispose() => _service?.Dispose();

    /// <param name="signature">DER for ECDSA.</param>
    public async Task<VerifyAnswer> VerifyAsync(byte[] digest, byte[] signature, CancellationToken cancellationToken)
    {
        if (_publicKey is not null)
            return new VerifyAnswer(_publicKey.Verify(Algorithm, digest, Decode(_publicKey.Spec, signature)), Kid: _publicKey.Kid);
        var answer = await _service!.PostAsync(
            $"{ApiPath.Key(_name)}/verify", new VerifyBody(digest, signature, Algorithm.Name, "der"), CliJson.Default.VerifyBody, cancellationToken);
        return answer.Read(CliJson.Default.VerifyAnswer);
    }

    /// <summary>For the user: whose signature it is, or should be.</summary>
    public string SignerOf(int? version) => version is null ? _name : $"{_name} version {version}";

    private static byte[] Decode(KeySpec spec, byte[] signature) =>
        spec.Family == KeyFamily.Rsa ? signature
        : EcdsaEncoding.TryFromDer(signature, spec.FieldLength, out var p1363) ? p1363
        : [];
}
