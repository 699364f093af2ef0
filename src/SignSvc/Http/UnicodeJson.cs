using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using SignSvc.Signing;

namespace SignSvc.Http;

/// <summary>Bodies, and members of bodies, that are any JSON: they are asked here whether all of their texts can be read.</summary>
internal sealed class UnicodeJson : JsonConverter<JsonElement>
{
    public override JsonElement Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        try
        {
            var element = JsonMetadataServices.JsonElementConverter.Read(ref reader, typeToConvert, options);
            return ForeignJson.IsUnicode(element) ? element : throw new JsonException("Not Unicode.");
        }
        // A name that is half of a surrogate pair cannot be compared with the others.
        catch (InvalidOperationException e)
        {
            throw new JsonException("Not Unicode.", e);
        }
    }

    public override void Write(Utf8JsonWriter writer, JsonElement value, JsonSerializerOptions options) => value.WriteTo(writer);
}
