using System.Security.Cryptography;
using System.Text.Json.Nodes;
using SignSvc.Emulation.Keys;
using SignSvc.Emulation.Quotas;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Crypto;

/// <summary>Sign, Verify and GetPublicKey.</summary>
internal static class Signatures
{
    public static JsonObject Sign(Call call)
    {
        var message = call.In.RequiredBlob("Message", max: 4096);
        var (key, material, algorithm) = Resolve(call);
        var digest = Digest(call, message, algorithm);
        call.StopIfDryRun();
        var signature =
            key.Spec.Kind == KeyKind.Rsa
                ? material.Rsa.SignHash(digest, Hash(algorithm), Padding(algorithm))
                : material.Ecdsa.SignHash(digest, DSASignatureFormat.Rfc3279DerSequence);
        return new JsonObject
        {
            ["KeyId"] = key.Arn,
            ["Signature"] = Answer.Blob(signature),
            ["SigningAlgorithm"] = algorithm,
        };
    }

    /// <summary>A signature that does not verify is an error; the answer never says false.</summary>
    public static JsonObject Verify(Call call)
    {
        var message = call.In.RequiredBlob("Message", max: 4096);
        var signature = call.In.RequiredBlob("Signature", max: 6144);
        var (key, material, algorithm) = Resolve(call);
        var digest = Digest(call, message, algorithm);
        call.StopIfDryRun();
        var valid =
            key.Spec.Kind == KeyKind.Rsa
                ? material.Rsa.VerifyHash(digest, signature, Hash(algorithm), Padding(algorithm))
                : material.Ecdsa.VerifyHash(digest, signature, DSASignatureFormat.Rfc3279DerSequence);
        if (!valid)
            throw new KmsException("KMSInvalidSignatureException");
        return new JsonObject
        {
            ["KeyId"] = key.Arn,
            ["SignatureValid"] = true,
            ["SigningAlgorithm"] = algorithm,
        };
    }

    public static JsonObject GetPublicKey(Call call)
    {
        var key = call.World.Resolve(call, call.In.RequiredKeyId(), aliases: true);
        key.RequireEnabled(call.Now);
        if (key.Spec.Kind == KeyKind.Symmetric)
            throw KmsException.Unsupported(
                $"{key.Arn} origin is {key.Origin} and key spec is {key.SpecName} which is not valid for GetPublicKey.");
        var answer = new JsonObject
        {
            ["KeyId"] = key.Arn,
            ["PublicKey"] = Answer.Blob(key.Materials.Current!.PublicKey(key.Spec)),
            ["CustomerMasterKeySpec"] = key.SpecName,
            ["KeySpec"] = key.SpecName,
            ["KeyUsage"] = key.Usage,
        };
        KeyMetadata.AddAlgorithms(answer, key);
        return answer;
    }

    private static (KmsKey Key, KeyMaterial Material, string Algorithm) Resolve(Call call)
    {
        var algorithm = call.In.RequiredOneOf("SigningAlgorithm", KeySpec.AllSigningAlgorithms);
        var reference = call.In.RequiredKeyId();
        lock (call.World.Gate)
        {
            var key = call.World.Resolve(call, reference, aliases: true);
            if (key.Spec.Kind != KeyKind.Symmetric)
                call.Charge(QuotaFamily.Of(key.Spec.Kind));
            key.RequireUsage(KeySpec.SignVerify, call.Operation);
            key.RequireAlgorithm(algorithm, key.Spec.SigningAlgorithms);
            key.RequireEnabled(call.Now);
            return (key, key.Materials.Current!, algorithm);
        }
    }

    /// <summary>
    /// A RAW message is hashed here; a DIGEST is signed as given and must have the hash's exact length.
    /// </summary>
    private static byte[] Digest(Call call, byte[] message, string algorithm)
    {
        var type = call.In.OneOf("MessageType", ["RAW", "DIGEST"]) ?? "RAW";
        var hash = Hash(algorithm);
        if (type is "RAW")
            return CryptographicOperations.HashData(hash, message);
        var length =
            hash == HashAlgorithmName.SHA256 ? 32
            : hash == HashAlgorithmName.SHA384 ? 48
            : 64;
        return message.Length == length
            ? message
            : throw KmsException.Validation($"Digest is invalid length for algorithm {algorithm}.");
    }

    private static HashAlgorithmName Hash(string algorithm) =>
        algorithm[^3..] switch
        {
            "256" => HashAlgorithmName.SHA256,
            "384" => HashAlgorithmName.SHA384,
            _ => HashAlgorithmName.SHA512,
        };

    /// <summary>.NET's PSS takes a salt as long as the hash, which is what AWS KMS does.</summary>
    private static RSASignaturePadding Padding(string algorithm) =>
        algorithm.StartsWith("RSASSA_PSS", StringComparison.Ordinal)
            ? RSASignaturePadding.Pss
            : RSASignaturePadding.Pkcs1;
}
