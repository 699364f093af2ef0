using System.Security.Cryptography;
using System.Text.Json.Nodes;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Keys;

/// <summary>Import of key material into keys of origin EXTERNAL.</summary>
internal static class ImportOperations
{
    /// <summary>Import tokens that a key keeps; an older one is forgotten and becomes invalid.</summary>
    private const int TokensPerKey = 16;

    private static readonly TimeSpan TokenLifetime = TimeSpan.FromHours(24);

    private static readonly string[] WrappingAlgorithms =
    [
        "RSAES_OAEP_SHA_1",
        "RSAES_OAEP_SHA_256",
        "RSA_AES_KEY_WRAP_SHA_1",
        "RSA_AES_KEY_WRAP_SHA_256",
    ];

    public static JsonObject GetParametersForImport(Call call)
    {
        var algorithm = call.In.RequiredOneOf("WrappingAlgorithm", WrappingAlgorithms);
        var wrappingSpec = call.In.RequiredOneOf("WrappingKeySpec", ["RSA_2048", "RSA_3072", "RSA_4096"]);
        var id = call.In.RequiredKeyId();
        lock (call.World.Gate)
            CheckWrapping(Importable(call, id), algorithm, wrappingSpec);

        using var wrapping = RSA.Create(KeySpec.Served(wrappingSpec).Bits);
        var token = new ImportToken
        {
            Id = Convert.ToBase64String(RandomNumberGenerator.GetBytes(48)),
            WrappingAlgorithm = algorithm,
            WrappingKey = wrapping.ExportPkcs8PrivateKey(),
            ValidTo = call.Now + TokenLifetime,
        };
        lock (call.World.Gate)
        {
            var key = Importable(call, id);
            if (key.ImportTokens.Count == TokensPerKey)
                key.ImportTokens.RemoveAt(0);
            key.ImportTokens.Add(token);
            return new JsonObject
            {
                ["KeyId"] = key.Arn,
                ["ImportToken"] = token.Id,
                ["PublicKey"] = Answer.Blob(wrapping.ExportSubjectPublicKeyInfo()),
                ["ParametersValidTo"] = Answer.Time(token.ValidTo),
            };
        }
    }

    public static JsonObject ImportKeyMaterial(Call call)
    {
        var tokenId = Convert.ToBase64String(call.In.RequiredBlob("ImportToken", max: 6144));
        var wrapped = call.In.RequiredBlob("EncryptedKeyMaterial", max: 6144);
        var model =
            call.In.OneOf("ExpirationModel", ["KEY_MATERIAL_DOES_NOT_EXPIRE", "KEY_MATERIAL_EXPIRES"])
            ?? "KEY_MATERIAL_EXPIRES";
        var validTo = ReadValidTo(call, model);
        var type = call.In.OneOf("ImportType", ["NEW_KEY_MATERIAL", "EXISTING_KEY_MATERIAL"]);
        var expectedId = call.In.Text("KeyMaterialId", min: 64, max: 64, pattern: "^[a-f0-9]+$");
        var description = call.In.Text("KeyMaterialDescription", min: 0, max: 256);

        var key = Importable(call, call.In.RequiredKeyId());
        var token =
            key.ImportTokens.Find(t => string.Equals(t.Id, tokenId, StringComparison.Ordinal))
            ?? throw new KmsException("InvalidImportTokenException");
        if (token.ValidTo < call.Now)
            throw new KmsException("ExpiredImportTokenException");
        var secret = Unwrap(token, wrapped);
        if (!KeyMaterial.Fits(key.Spec, secret))
            throw IncorrectMaterial();
        var id = KeyMaterial.IdOf(key.Id, secret);
        if (expectedId is not null && !string.Equals(expectedId, id, StringComparison.Ordinal))
            throw IncorrectMaterial();

        var material = Place(key, KeyMaterial.From(key.Id, secret), type);
        material.ValidTo = validTo;
        material.ImportDescription = description ?? material.ImportDescription;
        return Identify(key, material);
    }

    public static JsonObject DeleteImportedKeyMaterial(Call call)
    {
        var id = call.In.Text("KeyMaterialId", min: 64, max: 64, pattern: "^[a-f0-9]+$");
        var key = call.World.Resolve(call, call.In.RequiredKeyId());
        RequireExternal(key);
        var material = key.Materials.Find(id ?? key.Materials.CurrentId);
        if (material is null)
            return id is null ? new JsonObject { ["KeyId"] = key.Arn } : throw IncorrectMaterial();
        material.Secret = null;
        material.ValidTo = null;
        return Identify(key, material);
    }

    /// <summary>
    /// The first material becomes current. Later a symmetric key takes new material, which waits for its rotation;
    /// otherwise only the same material may come again.
    /// </summary>
    private static KeyMaterial Place(KmsKey key, KeyMaterial material, string? type)
    {
        var history = key.Materials;
        var known = history.Find(material.Id);
        if (history.CurrentId is null)
        {
            history.MakeCurrent(material);
            return material;
        }

        if (type is "NEW_KEY_MATERIAL")
        {
            if (key.Spec.Kind != KeyKind.Symmetric || known is not null)
                throw IncorrectMaterial();
            if (history.PendingId is { } pending)
                throw KmsException.InvalidState(
                    $"New key material (id: {material.Id}) cannot be imported into KMS key {key.Arn}, because another key material (id: {pending}) is pending rotation.");
            history.All.Add(material);
            history.PendingId = material.Id;
            return material;
        }

        if (known is null)
            throw IncorrectMaterial();
        known.Secret = material.Secret;
        return known;
    }

    /// <summary>Only symmetric keys tell the id of their material.</summary>
    private static JsonObject Identify(KmsKey key, KeyMaterial material)
    {
        var answer = new JsonObject { ["KeyId"] = key.Arn };
        if (key.Spec.Kind == KeyKind.Symmetric)
            answer["KeyMaterialId"] = material.Id;
        return answer;
    }

    private static DateTimeOffset? ReadValidTo(Call call, string model)
    {
        var validTo = call.In.Timestamp("ValidTo");
        if (model is "KEY_MATERIAL_EXPIRES")
        {
            if (validTo is null)
                throw KmsException.Validation(
                    "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES");
            if (validTo <= call.Now)
                throw KmsException.Validation("The validTo date must be in the future.");
        }
        else if (validTo is not null)
        {
            throw KmsException.Validation(
                "A validTo date can only be set if the ExpirationModel is KEY_MATERIAL_EXPIRES");
        }

        return validTo;
    }

    private static byte[] Unwrap(ImportToken token, byte[] wrapped)
    {
        var padding = token.WrappingAlgorithm.EndsWith("SHA_1", StringComparison.Ordinal)
            ? RSAEncryptionPadding.OaepSHA1
            : RSAEncryptionPadding.OaepSHA256;
        using var rsa = RSA.Create();
        rsa.ImportPkcs8PrivateKey(token.WrappingKey, out _);
        try
        {
            if (token.WrappingAlgorithm.StartsWith("RSAES", StringComparison.Ordinal))
                return rsa.Decrypt(wrapped, padding);
            var modulusLength = rsa.KeySize / 8;
            if (wrapped.Length <= modulusLength)
                throw KmsException.InvalidCiphertext();
            using var aes = Aes.Create();
            aes.Key = rsa.Decrypt(wrapped.AsSpan(0, modulusLength), padding);
            return aes.DecryptKeyWrapPadded(wrapped.AsSpan(modulusLength));
        }
        catch (CryptographicException)
        {
            throw KmsException.InvalidCiphertext();
        }
    }

    private static KmsKey Importable(Call call, string id)
    {
        var key = call.World.Resolve(call, id);
        RequireExternal(key);
        key.RequireNotPendingDeletion(call.Now);
        return key;
    }

    private static void RequireExternal(KmsKey key)
    {
        if (key.Origin is not KmsKey.External)
            throw KmsException.Unsupported($"{key.Arn} origin is {key.Origin} which is not valid for this operation.");
    }

    /// <summary>The developer guide's table of wrapping algorithms for each type of key material.</summary>
    private static void CheckWrapping(KmsKey key, string algorithm, string wrappingSpec)
    {
        var direct = algorithm.StartsWith("RSAES", StringComparison.Ordinal);
        var fits = key.Spec.Kind switch
        {
            KeyKind.Symmetric => direct,
            KeyKind.Rsa => !direct,
            _ => !direct || !(key.SpecName is "ECC_NIST_P521" && wrappingSpec is "RSA_2048"),
        };
        if (!fits)
            throw KmsException.Validation(
                $"WrappingAlgorithm {algorithm} with WrappingKeySpec {wrappingSpec} is not compatible with KeySpec {key.SpecName}.");
    }

    private static KmsException IncorrectMaterial() => new("IncorrectKeyMaterialException");
}
