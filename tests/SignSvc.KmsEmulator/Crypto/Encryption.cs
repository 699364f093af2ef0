using System.Security.Cryptography;
using System.Text.Json.Nodes;
using SignSvc.Emulation.Keys;
using SignSvc.Emulation.Quotas;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Crypto;

/// <summary>Encrypt, Decrypt and ReEncrypt, with symmetric and with RSA keys.</summary>
internal static class Encryption
{
    public static JsonObject Encrypt(Call call)
    {
        var plaintext = call.In.RequiredBlob("Plaintext", max: 4096);
        var context = call.In.TextMap("EncryptionContext");
        var algorithm = Algorithm(call, "EncryptionAlgorithm");
        var (key, material) = EncryptingKey(
            call,
            call.In.RequiredKeyId(),
            algorithm,
            context,
            call.Operation,
            charge: true);
        CheckLength(key, algorithm, plaintext);
        call.StopIfDryRun();
        return new JsonObject
        {
            ["KeyId"] = key.Arn,
            ["CiphertextBlob"] = Answer.Blob(Seal(key, material, algorithm, plaintext, context)),
            ["EncryptionAlgorithm"] = algorithm,
        };
    }

    public static JsonObject Decrypt(Call call)
    {
        var ciphertext = call.In.RequiredBlob("CiphertextBlob", max: 6144);
        var algorithm = Algorithm(call, "EncryptionAlgorithm");
        var (key, material, plaintext) = Open(
            call,
            ciphertext,
            algorithm,
            call.In.Text("KeyId", max: 2048),
            call.In.TextMap("EncryptionContext"),
            call.Operation);
        call.StopIfDryRun();
        var answer = new JsonObject
        {
            ["KeyId"] = key.Arn,
            ["Plaintext"] = Answer.Blob(plaintext),
            ["EncryptionAlgorithm"] = algorithm,
        };
        NameMaterial(answer, "KeyMaterialId", key, material);
        return answer;
    }

    public static JsonObject ReEncrypt(Call call)
    {
        var ciphertext = call.In.RequiredBlob("CiphertextBlob", max: 6144);
        var sourceAlgorithm = Algorithm(call, "SourceEncryptionAlgorithm");
        var algorithm = Algorithm(call, "DestinationEncryptionAlgorithm");
        var context = call.In.TextMap("DestinationEncryptionContext");
        var reference = call.In.RequiredKeyId("DestinationKeyId");
        var (source, sourceMaterial, plaintext) = Open(
            call,
            ciphertext,
            sourceAlgorithm,
            call.In.Text("SourceKeyId", max: 2048),
            call.In.TextMap("SourceEncryptionContext"),
            "ReEncryptFrom");
        var (key, material) = EncryptingKey(call, reference, algorithm, context, "ReEncryptTo", charge: false);
        CheckLength(key, algorithm, plaintext);
        call.StopIfDryRun();
        var answer = new JsonObject
        {
            ["CiphertextBlob"] = Answer.Blob(Seal(key, material, algorithm, plaintext, context)),
            ["SourceKeyId"] = source.Arn,
            ["KeyId"] = key.Arn,
            ["SourceEncryptionAlgorithm"] = sourceAlgorithm,
            ["DestinationEncryptionAlgorithm"] = algorithm,
        };
        NameMaterial(answer, "SourceKeyMaterialId", source, sourceMaterial);
        NameMaterial(answer, "DestinationKeyMaterialId", key, material);
        return answer;
    }

    /// <summary>The key and current material that new ciphertext is made with; data keys are wrapped so too.</summary>
    public static (KmsKey Key, KeyMaterial Material) EncryptingKey(
        Call call,
        string reference,
        string algorithm,
        SortedDictionary<string, string> context,
        string action,
        bool charge)
    {
        lock (call.World.Gate)
        {
            var key = call.World.Resolve(call, reference, aliases: true);
            if (charge)
                call.Charge(QuotaFamily.Of(key.Spec.Kind));
            key.RequireUsage(KeySpec.EncryptDecrypt, action);
            key.RequireAlgorithm(algorithm, key.Spec.EncryptionAlgorithms);
            if (context.Count > 0 && key.Spec.Kind != KeyKind.Symmetric)
                throw KmsException.Validation("EncryptionContext is not supported for asymmetric KMS keys.");
            key.RequireEnabled(call.Now);
            return (key, key.Materials.Current!);
        }
    }

    /// <summary>Only symmetric keys tell the id of their material.</summary>
    public static void NameMaterial(JsonObject answer, string member, KmsKey key, KeyMaterial material)
    {
        if (key.Spec.Kind == KeyKind.Symmetric)
            answer[member] = material.Id;
    }

    private static (KmsKey Key, KeyMaterial Material, byte[] Plaintext) Open(
        Call call,
        byte[] ciphertext,
        string algorithm,
        string? reference,
        SortedDictionary<string, string> context,
        string action)
    {
        if (algorithm is not KeySpec.SymmetricDefault)
            return OpenRsa(call, ciphertext, algorithm, reference, action);
        KmsKey key;
        KeyMaterial material;
        if (!CiphertextBlob.TryParse(ciphertext, out var blob))
            throw KmsException.InvalidCiphertext();
        lock (call.World.Gate)
        {
            call.Charge(QuotaFamily.Symmetric);
            var named = reference is null ? null : call.World.Resolve(call, reference, aliases: true);
            var arn = $"arn:aws:kms:{call.Caller.Region}:{blob.AccountId}:key/{blob.KeyId}";
            if (call.World.FindKey(arn, call.Now) is not { } owner)
                throw KmsException.InvalidCiphertext();
            if (named is not null && !ReferenceEquals(named, owner))
                throw new KmsException(
                    "IncorrectKeyException",
                    "The key ID in the request does not identify a CMK that can perform this operation.");
            key = call.World.Resolve(call, arn);
            key.RequireEnabled(call.Now);
            material = key.Materials.Find(blob.MaterialId) ?? throw KmsException.InvalidCiphertext();
            if (!material.IsPresent(call.Now))
                throw KmsException.InvalidState($"{key.Arn} is pending import.");
        }

        return blob.TryOpen(material, context, out var plaintext)
            ? (key, material, plaintext)
            : throw KmsException.InvalidCiphertext();
    }

    private static (KmsKey Key, KeyMaterial Material, byte[] Plaintext) OpenRsa(
        Call call,
        byte[] ciphertext,
        string algorithm,
        string? reference,
        string action)
    {
        if (reference is null)
            throw KmsException.Validation("KeyId is required to decrypt with an asymmetric KMS key.");
        var (key, material) = EncryptingKey(call, reference, algorithm, [], action, charge: true);
        try
        {
            return (key, material, material.Rsa.Decrypt(ciphertext, Padding(algorithm)));
        }
        catch (CryptographicException)
        {
            throw KmsException.InvalidCiphertext();
        }
    }

    private static byte[] Seal(
        KmsKey key,
        KeyMaterial material,
        string algorithm,
        byte[] plaintext,
        SortedDictionary<string, string> context) =>
        algorithm is KeySpec.SymmetricDefault
            ? CiphertextBlob.Seal(key, material, plaintext, context)
            : material.Rsa.Encrypt(plaintext, Padding(algorithm));

    /// <summary>OAEP takes the modulus' length less two hashes and two bytes (RFC 8017 section 7.1.1).</summary>
    private static void CheckLength(KmsKey key, string algorithm, byte[] plaintext)
    {
        var most = algorithm switch
        {
            "RSAES_OAEP_SHA_1" => (key.Spec.Bits / 8) - 42,
            "RSAES_OAEP_SHA_256" => (key.Spec.Bits / 8) - 66,
            _ => 4096,
        };
        if (plaintext.Length > most)
            throw KmsException.Validation(
                $"Algorithm {algorithm} and key spec {key.SpecName} cannot encrypt data larger than {most} bytes.");
    }

    private static string Algorithm(Call call, string member) =>
        call.In.OneOf(member, KeySpec.AllEncryptionAlgorithms) ?? KeySpec.SymmetricDefault;

    private static RSAEncryptionPadding Padding(string algorithm) =>
        algorithm is "RSAES_OAEP_SHA_1" ? RSAEncryptionPadding.OaepSHA1 : RSAEncryptionPadding.OaepSHA256;
}
