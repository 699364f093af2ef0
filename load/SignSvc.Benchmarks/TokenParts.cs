using System.Security.Cryptography;
using System.Text.Json;
using BenchmarkDotNet.Attributes;
using SignSvc.Signing.Access;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Benchmarks;

/// <summary>What a token is made of, beside the signature that cannot be had cheaper.</summary>
public class TokenParts
{
    private const string Kid = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";

    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly Caller _caller = new("credential:ci", [Role.Signer]);
    private readonly TokenIssuing _issuing = new("https://signsvc.example");
    private readonly TokenProfile _profile = new() { Name = "default", KeyId = "key", Audiences = ["*"], DefaultLifetimeSeconds = 300, MaxLifetimeSeconds = 3600 };
    private JsonElement _claims;
    private JsonElement _audience;
    private TokenRequest _request = null!;
    private TokenClaims _settled = null!;
    private byte[] _input = [];
    private byte[] _signature = [];

    [GlobalSetup]
    public void Prepare()
    {
        using var json = JsonDocument.Parse("""{"claims":{"env":"prod"},"audience":"api://deploy"}""");
        _claims = json.RootElement.GetProperty("claims").Clone();
        _audience = json.RootElement.GetProperty("audience").Clone();
        _request = Parse();
        _settled = Settle();
        _input = Write();
        _signature = Sign();
    }

    [Benchmark(Description = "check the form of a token request")]
    public TokenRequest Parse() => TokenRequest.Parse("build-42", _audience, 300, _claims);

    [Benchmark(Description = "settle its claims by the profile")]
    public TokenClaims Settle() => _issuing.Settle(_caller, _profile, _request, DateTimeOffset.UnixEpoch.AddYears(56));

    [Benchmark(Description = "write the JWT's header and payload")]
    public byte[] Write() => TokenWriter.WriteSigningInput("at+jwt", SigningAlgorithm.ES256, Kid, _settled);

    [Benchmark(Description = "hash it")]
    public byte[] Hash() => SigningAlgorithm.ES256.HashData(_input);

    [Benchmark(Description = "sign it (P-256, .NET alone)")]
    public byte[] Sign() => _key.SignData(_input, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);

    [Benchmark(Description = "join it with the signature")]
    public string Join() => TokenWriter.Join(_input, _signature);

    [GlobalCleanup]
    public void End() => _key.Dispose();
}
