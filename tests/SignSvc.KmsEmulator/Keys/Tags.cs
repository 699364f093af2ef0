using System.Text.Json.Nodes;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Keys;

/// <summary>TagResource, UntagResource, ListResourceTags.</summary>
internal static class Tags
{
    private const int Most = 50;

    public static JsonObject TagResource(Call call)
    {
        if (!call.In.Has("Tags"))
            throw call.In.Missing("Tags");
        var added = Read(call.In);
        var key = call.World.Resolve(call, call.In.RequiredKeyId());
        key.RequireNotPendingDeletion(call.Now);
        if (key.Tags.Keys.Union(added.Keys, StringComparer.Ordinal).Count() > Most)
            throw new KmsException("TagException", "Too many tags");
        foreach (var (name, value) in added)
            key.Tags[name] = value;
        return [];
    }

    public static JsonObject UntagResource(Call call)
    {
        if (!call.In.Has("TagKeys"))
            throw call.In.Missing("TagKeys");
        var names = call.In.Texts("TagKeys", max: 128);
        var key = call.World.Resolve(call, call.In.RequiredKeyId());
        key.RequireNotPendingDeletion(call.Now);
        foreach (var name in names)
            key.Tags.Remove(name);
        return [];
    }

    public static JsonObject ListResourceTags(Call call)
    {
        var key = call.World.Resolve(call, call.In.RequiredKeyId());
        return Page.Of(call, "Tags", key.Tags, t => t.Key, t => ToJson(t.Key, t.Value), usual: Most, most: Most);
    }

    public static JsonObject ToJson(string name, string value) => new() { ["TagKey"] = name, ["TagValue"] = value };

    /// <summary>Reads the member Tags of CreateKey, ReplicateKey and TagResource.</summary>
    public static SortedDictionary<string, string> Read(Parameters parameters)
    {
        var tags = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var duplicates = false;
        foreach (var tag in parameters.Structures("Tags"))
        {
            var name = tag.RequiredText("TagKey", max: 128);
            duplicates |= !tags.TryAdd(name, tag.RequiredText("TagValue", max: 256, min: 0));
        }

        if (duplicates)
            throw new KmsException("TagException", "Duplicate tag keys");
        if (tags.Keys.Any(k => k.StartsWith("aws:", StringComparison.OrdinalIgnoreCase)))
            throw new KmsException("TagException", "Tags beginning with aws: are reserved");
        return tags.Count <= Most ? tags : throw new KmsException("TagException", "Too many tags");
    }
}
