using System.Collections.Immutable;
using System.Text.Json;
using SignSvc.Signing.Keys;

namespace SignSvc.Compatibility.AwsKms;

/// <summary>Tags in AWS KMS's words.</summary>
internal sealed class TagOperations(KeyLifecycle keys, KeyChanges changes)
{
    private const int MaxPage = 50;

    public async Task<Action<Utf8JsonWriter>?> TagAsync(KmsCall call)
    {
        var tags = TagsOf(call) ?? throw KmsException.Missing("Tags");
        await changes.UpdateAsync(
            call.Caller, call.KeyNoAlias(), key => new KeyUpdate(Tags: TagRules.Parse(key.Tags.SetItems(tags))), call.CancellationToken);
        return null;
    }

    public async Task<Action<Utf8JsonWriter>?> UntagAsync(KmsCall call)
    {
        var names = call.Parameters.Texts("TagKeys") ?? throw KmsException.Missing("TagKeys");
        await changes.UpdateAsync(
            call.Caller, call.KeyNoAlias(), key => new KeyUpdate(Tags: key.Tags.RemoveRange(names)), call.CancellationToken);
        return null;
    }

    public async Task<Action<Utf8JsonWriter>?> ListAsync(KmsCall call)
    {
        var size = call.Number("Limit", MaxPage, 1, MaxPage);
        var after = call.Text("Marker");
        var key = await keys.ReadAsync(call.Caller, call.KeyNoAlias(), call.CancellationToken);
        if (key.State == KeyState.Deleted)
            throw keys.Unknown(call.Caller);
        var rest = key.Tags.Where(t => after is null || string.CompareOrdinal(t.Key, after) > 0).ToArray();
        return writer =>
        {
            writer.WriteStartArray("Tags");
            foreach (var (name, value) in rest.Take(size))
            {
                writer.WriteStartObject();
                writer.WriteString("TagKey", name);
                writer.WriteString("TagValue", value);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            if (rest.Length > size)
                writer.WriteString("NextMarker", rest[size - 1].Key);
            writer.WriteBoolean("Truncated", rest.Length > size);
        };
    }

    /// <returns>Null where there are none.</returns>
    internal static ImmutableDictionary<string, string>? TagsOf(KmsCall call)
    {
        if (call.Parameters.Objects("Tags") is not { } wishes)
            return null;
        var tags = ImmutableDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        foreach (var (index, wish) in wishes.Index())
        {
            var (name, value) = (TextOf(wish, index, "TagKey", 1, TagRules.MaxNameLength), TextOf(wish, index, "TagValue", 0, TagRules.MaxValueLength));
            if (name.StartsWith("aws:", StringComparison.OrdinalIgnoreCase))
                throw Refused("Tags beginning with aws: are reserved");
            if (!tags.TryAdd(name, value))
                throw Refused("Duplicate tag keys");
        }

        return tags.Count <= TagRules.Most ? tags.ToImmutable() : throw Refused("Too many tags");
    }

    private static string TextOf(ClientJson tag, int index, string member, int min, int max)
    {
        var path = $"Tags.{index + 1}.member.{member}";
        var text = tag.Text(member) ?? throw KmsException.Missing(path);
        return text.Length >= min && text.Length <= max
            ? text
            : throw KmsException.OutOfBounds(path, text, "length", text.Length < min, min, max);
    }

    private static KmsException Refused(string message) => new("TagException", message);
}
