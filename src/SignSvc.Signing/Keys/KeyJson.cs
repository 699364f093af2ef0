using System.Text.Json;
using System.Text.Json.Serialization;

namespace SignSvc.Signing.Keys;

/// <summary>An algorithm in JSON is its JWA name.</summary>
public sealed class SigningAlgorithmConverter : JsonConverter<SigningAlgorithm>
{
    public override SigningAlgorithm Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        SigningAlgorithm.Parse(reader.GetString());

    public override void Write(Utf8JsonWriter writer, SigningAlgorithm value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.Name);
}

/// <summary>A spec in JSON is its AWS KMS name.</summary>
public sealed class KeySpecConverter : JsonConverter<KeySpec>
{
    public override KeySpec Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        KeySpec.Parse(reader.GetString());

    public override void Write(Utf8JsonWriter writer, KeySpec value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.Name);
}

/// <summary>A public key in JSON is its SPKI in base64.</summary>
public sealed class PublicKeyConverter : JsonConverter<PublicKey>
{
    public override PublicKey Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        PublicKey.FromSpki(reader.GetBytesFromBase64());

    public override void Write(Utf8JsonWriter writer, PublicKey value, JsonSerializerOptions options) =>
        writer.WriteBase64StringValue(value.Spki.Span);
}
