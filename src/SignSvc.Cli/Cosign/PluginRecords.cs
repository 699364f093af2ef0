using System.Text.Json.Serialization;

namespace SignSvc.Cli.Cosign;

/// <summary>What cosign asks (sigstore's pkg/signature/kms/cliplugin/common): options, a method's name, and its arguments under that name.</summary>
internal sealed record PluginCall(InitOptions? InitOptions, string? MethodName)
{
    public CreateKeyArguments? CreateKey { get; init; }

    public PublicKeyArguments? PublicKey { get; init; }

    public SignMessageArguments? SignMessage { get; init; }

    public VerifySignatureArguments? VerifySignature { get; init; }
}

/// <param name="KeyResourceId">What follows <c>signsvc://</c>.</param>
/// <param name="HashFunc">Go's <c>crypto.Hash</c>: 5 SHA-256, 6 SHA-384, 7 SHA-512.</param>
internal sealed record InitOptions(
    string? ProtocolVersion,
    [property: JsonPropertyName("keyResourceID")] string? KeyResourceId,
    int HashFunc,
    DateTimeOffset? CtxDeadline,
    RpcOptions? RpcOptions);

/// <param name="KeyVersion">Empty: the one that signs now.</param>
/// <param name="RemoteVerification">The service is to verify, not this process.</param>
internal sealed record RpcOptions(DateTimeOffset? CtxDeadline, string? KeyVersion, bool RemoteVerification);

internal sealed record CreateKeyArguments(DateTimeOffset? CtxDeadline, string? Algorithm);

internal sealed record PublicKeyArguments(CallOptions? PublicKeyOptions);

internal sealed record SignMessageArguments(CallOptions? SignOptions);

internal sealed record VerifySignatureArguments(byte[]? Signature, CallOptions? VerifyOptions);

internal sealed record CallOptions(RpcOptions? RpcOptions, MessageOptions? MessageOptions);

/// <param name="Digest">Of the message, where cosign has hashed it already; the message is on standard input all the same.</param>
internal sealed record MessageOptions(byte[]? Digest, int? HashFunc);

/// <summary>One member, named like the method; or the error.</summary>
internal sealed record PluginAnswer
{
    public string? ErrorMessage { get; init; }

    public DefaultAlgorithmAnswer? DefaultAlgorithm { get; init; }

    public SupportedAlgorithmsAnswer? SupportedAlgorithms { get; init; }

    public PublicKeyAnswer? CreateKey { get; init; }

    public PublicKeyAnswer? PublicKey { get; init; }

    public SignMessageAnswer? SignMessage { get; init; }

    public VerifySignatureAnswer? VerifySignature { get; init; }
}

internal sealed record DefaultAlgorithmAnswer(string DefaultAlgorithm);

internal sealed record SupportedAlgorithmsAnswer(string[] SupportedAlgorithms);

internal sealed record PublicKeyAnswer([property: JsonPropertyName("publicKeyPEM")] byte[] PublicKeyPem);

internal sealed record SignMessageAnswer(byte[] Signature);

internal sealed record VerifySignatureAnswer;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, MaxDepth = 16)]
[JsonSerializable(typeof(PluginCall))]
[JsonSerializable(typeof(PluginAnswer))]
[JsonSerializable(typeof(CachedPublicKey))]
internal sealed partial class PluginJson : JsonSerializerContext;
