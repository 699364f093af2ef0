using System.Text;
using System.Text.Json.Nodes;

namespace SignSvc.Emulation.Wire;

/// <summary>
/// Paging of the list calls: ordered by a key that does not change, resumed after the last one shown, so that items
/// created or deleted meanwhile neither repeat nor hide others.
/// </summary>
internal static class Page
{
    /// <param name="call">The request, for its Limit and Marker.</param>
    /// <param name="member">Name of the list in the answer.</param>
    /// <param name="items">In ordinal order of <paramref name="orderKey"/>.</param>
    /// <param name="orderKey">What the items are ordered by.</param>
    /// <param name="toJson">An item as the answer shows it.</param>
    /// <param name="usual">Items where the request has no Limit.</param>
    /// <param name="most">Items at the most; a greater Limit is lowered, as the service does.</param>
    public static JsonObject Of<T>(
        Call call,
        string member,
        IEnumerable<T> items,
        Func<T, string> orderKey,
        Func<T, JsonNode> toJson,
        int usual,
        int most)
    {
        var limit = Math.Min(call.In.Integer("Limit", 1, 1000) ?? usual, most);
        if (call.In.Text("Marker", max: 1024) is { } marker)
        {
            var after = Decode(marker);
            items = items.SkipWhile(i => string.CompareOrdinal(orderKey(i), after) <= 0);
        }

        var shown = items.Take(limit + 1).ToList();
        var truncated = shown.Count > limit;
        if (truncated)
            shown.RemoveAt(limit);
        var answer = new JsonObject { [member] = new JsonArray([.. shown.Select(toJson)]), ["Truncated"] = truncated };
        if (truncated)
            answer["NextMarker"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(orderKey(shown[^1])));
        return answer;
    }

    private static string Decode(string marker)
    {
        var buffer = new byte[marker.Length];
        return Convert.TryFromBase64String(marker, buffer, out var length)
            ? Encoding.UTF8.GetString(buffer, 0, length)
            : throw new KmsException("InvalidMarkerException", "Could not deserialize marker");
    }
}
