using System.Security.Cryptography;
using System.Text.Json.Nodes;
using SignSvc.Emulation.Keys;
using SignSvc.Emulation.Quotas;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Crypto;

/// <summary>GenerateDataKey, GenerateDataKeyPair, both also without plaintext, and GenerateRandom.</summary>
internal static class DataKeys
{
    public static JsonObject GenerateDataKey(Call call)
    {
        var (answer, plaintext) = DataKey(call);
        answer["Plaintext"] = Answer.Blob(plaintext);
        return answer;
    }

    public static JsonObject GenerateDataKeyWithoutPlaintext(Call call) => DataKey(call).Answer;

    public static JsonObject GenerateDataKeyPair(Call call)
    {
        var (answer, plaintext) = DataKeyPair(call);
        answer["PrivateKeyPlaintext"] = Answer.Blob(plaintext);
        return answer;
    }

    public static JsonObject GenerateDataKeyPairWithoutPlaintext(Call call) => DataKeyPair(call).Answer;

    public static JsonObject GenerateRandom(Call call)
    {
        var length =
            call.In.Integer("NumberOfBytes", 1, 1024) ?? throw KmsException.Validation("NumberOfBytes is required.");
        call.Charge(QuotaFamily.Symmetric);
        return new JsonObject { ["Plaintext"] = Answer.Blob(RandomNumberGenerator.GetBytes(length)) };
    }

    private static (JsonObject Answer, byte[] Plaintext) DataKey(Call call)
    {
        var spec = call.In.OneOf("KeySpec", ["AES_256", "AES_128"]);
        var length = call.In.Integer("NumberOfBytes", 1, 1024);
        if (spec is null == length is null)
            throw KmsException.Validation("Please specify either number of bytes or key spec.");
        var context = call.In.TextMap("EncryptionContext");
        var (key, material) = WrappingKey(call, context, charge: true);
        call.StopIfDryRun();
        var plaintext = RandomNumberGenerator.GetBytes(length ?? (spec is "AES_256" ? 32 : 16));
        var answer = new JsonObject
        {
            ["KeyId"] = key.Arn,
            ["CiphertextBlob"] = Answer.Blob(CiphertextBlob.Seal(key, material, plaintext, context)),
            ["KeyMaterialId"] = material.Id,
        };
        return (answer, plaintext);
    }

    private static (JsonObject Answer, byte[] Plaintext) DataKeyPair(Call call)
    {
        var name = call.In.RequiredOneOf("KeyPairSpec", [.. KeySpec.Pairs.Select(s => s.Name)]);
        var spec = KeySpec.Served(name);
        var context = call.In.TextMap("EncryptionContext");
        var (key, material) = WrappingKey(call, context, charge: false);
        call.Charge(QuotaFamily.OfDataKeyPair(spec));
        call.StopIfDryRun();
        var pair = KeyMaterial.Generate(spec, key.Id);
        var answer = new JsonObject
        {
            ["KeyId"] = key.Arn,
            ["KeyPairSpec"] = name,
            ["PublicKey"] = Answer.Blob(pair.PublicKey(spec)),
            ["PrivateKeyCiphertextBlob"] = Answer.Blob(CiphertextBlob.Seal(key, material, pair.Secret, context)),
            ["KeyMaterialId"] = material.Id,
        };
        return (answer, pair.Secret!);
    }

    private static (KmsKey Key, KeyMaterial Material) WrappingKey(
        Call call,
        SortedDictionary<string, string> context,
        bool charge) =>
        Encryption.EncryptingKey(
            call,
            call.In.RequiredKeyId(),
            KeySpec.SymmetricDefault,
            context,
            call.Operation,
            charge);
}
