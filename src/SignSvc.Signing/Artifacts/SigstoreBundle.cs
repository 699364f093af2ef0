using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Artifacts;

/// <summary>
/// Sigstore bundle v0.3 of a signature by a long-lived key: either over a digest or over a DSSE envelope. cosign's
/// parser takes no member that the format does not have.
/// </summary>
public sealed record SigstoreBundle(
    string MediaType, VerificationMaterial VerificationMaterial, MessageSignature? MessageSignature = null, DsseEnvelope? DsseEnvelope = null)
{
    public const string V03 = "application/vnd.dev.sigstore.bundle.v0.3+json";

    /// <param name="signature">As SignSvc holds it: r‖s for ECDSA.</param>
    public static SigstoreBundle OfDigest(PublicKey key, SigningAlgorithm algorithm, ReadOnlySpan<byte> digest, byte[] signature) => new(
        V03, VerificationMaterial.Of(key),
        MessageSignature: new MessageSignature(new MessageDigest(NameOf(algorithm.Hash), digest.ToArray()), Encode(key, signature)));

    /// <inheritdoc cref="OfDigest"/>
    public static SigstoreBundle OfStatement(PublicKey key, byte[] payload, byte[] signature) => new(
        V03, VerificationMaterial.Of(key),
        DsseEnvelope: new DsseEnvelope(payload, Dsse.InTotoType, [new DsseSignature(Encode(key, signature))]));

    /// <summary>How cosign and the bundle write a signature: DER for ECDSA.</summary>
    public static byte[] Encode(PublicKey key, byte[] signature) =>
        key.Spec.Family == KeyFamily.Ecc ? EcdsaEncoding.ToDer(signature) : signature;

    /// <summary>The protobuf name of a hash (<c>HashAlgorithm</c> of sigstore_common.proto).</summary>
    public static string NameOf(HashAlgorithmName hash) => $"SHA2_{hash.Name.AsSpan(3)}";

    /// <summary>What a verifier should know of a signature before it is puzzled.</summary>
    public static string? Warning(SigningAlgorithm algorithm) =>
        algorithm.Hash == HashAlgorithmName.SHA256 && algorithm.RsaPadding != RSASignaturePadding.Pss
            ? null
            : $"cosign verifies ECC_NIST_P256 and RSA PKCS#1 v1.5, both with SHA-256; this signature is {algorithm}.";
}

/// <param name="TlogEntries">Empty: there is no transparency log. Of others' bundles it is not read.</param>
/// <param name="TimestampVerificationData">Of others' bundles; not read.</param>
public sealed record VerificationMaterial(
    KeyHint PublicKey, ImmutableArray<JsonElement>? TlogEntries = null, JsonElement? TimestampVerificationData = null)
{
    public static VerificationMaterial Of(PublicKey key) =>
        new(new KeyHint(Convert.ToBase64String(SHA256.HashData(key.Spki.Span))), TlogEntries: []);
}

/// <param name="Hint">Base64 of the SHA-256 of the SubjectPublicKeyInfo: which key a verifier needs, not proof of anything.</param>
public sealed record KeyHint(string Hint);

/// <param name="Signature">DER for ECDSA.</param>
public sealed record MessageSignature(MessageDigest MessageDigest, byte[] Signature);

/// <param name="Algorithm"><c>SHA2_256</c>, <c>SHA2_384</c>, <c>SHA2_512</c>.</param>
public sealed record MessageDigest(string Algorithm, byte[] Digest);

/// <param name="Payload">An in-toto statement, where <paramref name="PayloadType"/> says so.</param>
public sealed record DsseEnvelope(byte[] Payload, string PayloadType, ImmutableArray<DsseSignature> Signatures);

/// <param name="Sig">DER for ECDSA, over <see cref="Dsse.Encode"/>.</param>
public sealed record DsseSignature(byte[] Sig, string? Keyid = null);

/// <summary>Bundles as files. Members that a later version adds are passed over; none may be there twice.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    AllowDuplicateProperties = false,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    MaxDepth = 32)]
[JsonSerializable(typeof(SigstoreBundle))]
public sealed partial class SigstoreJson : JsonSerializerContext;
