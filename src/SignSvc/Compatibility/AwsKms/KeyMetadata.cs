using System.Text.Json;
using SignSvc.Signing.Keys;

namespace SignSvc.Compatibility.AwsKms;

/// <summary>A key in AWS KMS's words.</summary>
internal static class KeyMetadata
{
    public static void Write(Utf8JsonWriter writer, Key key, string region)
    {
        writer.WriteStartObject("KeyMetadata");
        writer.WriteString("AWSAccountId", KeyNames.Account);
        writer.WriteString("KeyId", key.Id);
        writer.WriteString("Arn", KeyNames.ArnOf(key, region));
        WriteTime(writer, "CreationDate", key.CreatedAt);
        if (key.State == KeyState.PendingDeletion && key.DeletesAt is { } deletesAt)
            WriteTime(writer, "DeletionDate", deletesAt);
        writer.WriteString("Description", key.Description ?? "");
        writer.WriteBoolean("Enabled", key.State == KeyState.Enabled && !key.Versions.IsEmpty);
        writer.WriteString("KeyManager", "CUSTOMER");
        writer.WriteString("KeyState", StateOf(key));
        writer.WriteString("Origin", key.Origin == KeyOrigin.Imported ? "EXTERNAL" : "AWS_KMS");
        writer.WriteBoolean("MultiRegion", false);
        WriteUse(writer, key);
        writer.WriteEndObject();
    }

    /// <summary>What GetPublicKey and DescribeKey have in common. The first algorithm is the one that cosign takes.</summary>
    public static void WriteUse(Utf8JsonWriter writer, Key key)
    {
        writer.WriteString("CustomerMasterKeySpec", key.Spec.Name);
        writer.WriteString("KeySpec", key.Spec.Name);
        writer.WriteString("KeyUsage", "SIGN_VERIFY");
        writer.WriteStartArray("SigningAlgorithms");
        foreach (var algorithm in key.Algorithms)
            writer.WriteStringValue(algorithm.KmsName);
        writer.WriteEndArray();
    }

    /// <summary>Seconds since 1970, with a fraction.</summary>
    public static void WriteTime(Utf8JsonWriter writer, string name, DateTimeOffset time) =>
        writer.WriteNumber(name, time.ToUnixTimeMilliseconds() / 1000.0);

    public static string StateOf(Key key) => key.State switch
    {
        KeyState.PendingDeletion => "PendingDeletion",
        _ when key.Versions.IsEmpty => "PendingImport",
        KeyState.Disabled => "Disabled",
        _ => "Enabled",
    };
}
