using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using SignSvc.Cli.Http;
using SignSvc.Cli.Keys;
using SignSvc.Cli.Login;
using SignSvc.Cli.Signing;
using SignSvc.Signing.Keys;

namespace SignSvc.Cli.Cosign;

/// <summary>What the plugin can do. Keys and signatures are the service's; only digests and facts travel.</summary>
internal sealed class PluginMethods : IDisposable
{
    /// <summary>Of one call to the service. How long an artifact takes to come through the pipe is cosign's affair.</summary>
    private static readonly TimeSpan CallLimit = TimeSpan.FromSeconds(30);

    /// <summary>Where cosign names no deadline, or one that no timer holds.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromDays(1);

    private readonly PluginCall _call;
    private readonly string _key;
    private readonly ServiceClient _service;
    private readonly PublicKeyCache _cache;
    private readonly CancellationTokenSource _deadline;

    private PluginMethods(PluginCall call, string key, Connection connection, TimeSpan limit, TimeProvider time)
    {
        _call = call;
        _key = key;
        _service = new ServiceClient(connection, CallLimit);
        _cache = new PublicKeyCache(connection, key, Version, time);
        _deadline = new CancellationTokenSource(limit, time);
    }

    /// <summary>cosign's wish; null: the version that signs now.</summary>
    private int? Version => Options?.RpcOptions?.KeyVersion is { Length: > 0 } text
        ? int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var version)
            ? version
            : throw CommandException.Usage($"'{text}' is no version of a key: they are numbered from 1.")
        : null;

    private CallOptions? Options =>
        _call.SignMessage?.SignOptions ?? _call.PublicKey?.PublicKeyOptions ?? _call.VerifySignature?.VerifyOptions
        ?? new CallOptions(_call.InitOptions!.RpcOptions, MessageOptions: null);

    public static PluginMethods For(PluginCall call, TimeProvider time)
    {
        if (call.InitOptions?.KeyResourceId is not { Length: > 0 } key)
            throw CommandException.Usage("Name a key: --key signsvc://NAME.");
        var left = call.InitOptions.CtxDeadline is { } deadline ? deadline - time.GetUtcNow() : Longest;
        if (left <= TimeSpan.Zero)
            throw new OperationCanceledException();
        return new PluginMethods(call, key, Connection.Resolve(urlOption: null), left < Longest ? left : Longest, time);
    }

    public void Dispose()
    {
        _service.Dispose();
        _deadline.Dispose();
    }

    public Task<PluginAnswer> AnswerAsync() => _call.MethodName switch
    {
        "publicKey" => PublicKeyAsync(),
        "signMessage" => SignMessageAsync(),
        "verifySignature" => VerifySignatureAsync(),
        "createKey" => CreateKeyAsync(),
        "defaultAlgorithm" => Task.FromResult(new PluginAnswer { DefaultAlgorithm = new(KeyAlgorithms.Default) }),
        "supportedAlgorithms" => Task.FromResult(new PluginAnswer { SupportedAlgorithms = new([.. KeyAlgorithms.Names]) }),
        var other => throw CommandException.Usage($"This signsvc does not know the method '{other}' of the plugin protocol.", "Is there a newer one?"),
    };

    private async Task<PluginAnswer> PublicKeyAsync() =>
        new() { PublicKey = new(Encoding.ASCII.GetBytes(await ReadPublicKeyAsync())) };

    private async Task<PluginAnswer> SignMessageAsync()
    {
        var key = PublicKeyFile.Parse(_key, await ReadPublicKeyAsync());
        var options = _call.SignMessage?.SignOptions?.MessageOptions;
        var algorithm = KeyAlgorithms.For(_key, key.Spec, options?.Digest, options?.HashFunc ?? _call.InitOptions!.HashFunc);
        var message = await SignedMessage.ReadAsync(Console.OpenStandardInput(), algorithm, options?.Digest, _deadline.Token);
        var body = new SignBody(message.Digest, algorithm.Name, "der", message.Context, Version);
        var answer = await _service.PostAsync($"{ApiPath.Key(_key)}/sign", body, CliJson.Default.SignBody, _deadline.Token);
        var signed = answer.Read(CliJson.Default.SignAnswer);
        if (!string.Equals(signed.Kid, key.Kid, StringComparison.Ordinal))
        {
            // cosign may hold the former public key by now, and would write a bundle that nobody can verify.
            _cache.Forget();
            throw CommandException.Usage($"{_key} was rotated while cosign was signing.", "Nothing is wrong: sign again.");
        }

        return new PluginAnswer { SignMessage = new(signed.Signature) };
    }

    private async Task<PluginAnswer> VerifySignatureAsync()
    {
        if (_call.VerifySignature is not { Signature: { } signature } arguments)
            throw CommandException.Usage("The call holds no signature.");
        var key = PublicKeyFile.Parse(_key, await ReadPublicKeyAsync());
        var options = arguments.VerifyOptions?.MessageOptions;
        var algorithm = KeyAlgorithms.For(_key, key.Spec, options?.Digest, options?.HashFunc ?? _call.InitOptions!.HashFunc);
        var message = await SignedMessage.ReadAsync(Console.OpenStandardInput(), algorithm, options?.Digest, _deadline.Token);
        var isValid = Options?.RpcOptions?.RemoteVerification == true
            ? await VerifyThereAsync(message.Digest, signature, algorithm)
            : key.Verify(algorithm, message.Digest, Decode(key.Spec, signature));
        return isValid
            ? new PluginAnswer { VerifySignature = new() }
            : new PluginAnswer { ErrorMessage = $"invalid signature: it is not one of this artifact by {_key}" };
    }

    private async Task<bool> VerifyThereAsync(byte[] digest, byte[] signature, SigningAlgorithm algorithm)
    {
        var body = new VerifyBody(digest, signature, algorithm.Name, "der");
        var answer = await _service.PostAsync($"{ApiPath.Key(_key)}/verify", body, CliJson.Default.VerifyBody, _deadline.Token);
        return answer.Read(CliJson.Default.VerifyAnswer).Valid;
    }

    private async Task<PluginAnswer> CreateKeyAsync()
    {
        var (spec, algorithm) = KeyAlgorithms.Parse(_call.CreateKey?.Algorithm);
        var body = new NewKeyBody(_key, "artifacts", spec.Name, Tier: "assured", Algorithms: [algorithm.Name]);
        try
        {
            await _service.PostAsync("/v1/keys", body, CliJson.Default.NewKeyBody, _deadline.Token);
        }
        catch (CommandException e) when (e.Status == 409)
        {
            throw CommandException.Usage(e.Message, $"'cosign public-key --key signsvc://{_key}' writes the public key of the one that is there.", e);
        }

        return new PluginAnswer { CreateKey = new(Encoding.ASCII.GetBytes(await ReadPublicKeyAsync())) };
    }

    private async Task<string> ReadPublicKeyAsync()
    {
        if (_cache.Find() is { } cached)
            return cached;
        var path = ApiPath.WithQuery($"{ApiPath.Key(_key)}/public-key", ("format", "pem"), ("version", Version?.ToString(CultureInfo.InvariantCulture)));
        var answer = await _service.GetAsync(path, _deadline.Token);
        var pem = Encoding.ASCII.GetString(answer.Body.Span);
        if (!PemEncoding.TryFind(pem, out _))
            throw new CommandException(ExitCode.Unavailable, "The answer is not one of SignSvc.", "Is SIGNSVC_URL the URL of the service?");
        _cache.Keep(pem);
        return pem;
    }

    private static byte[] Decode(KeySpec spec, byte[] signature) =>
        spec.Family == KeyFamily.Rsa ? signature
        : EcdsaEncoding.TryFromDer(signature, spec.FieldLength, out var p1363) ? p1363
        : [];
}
