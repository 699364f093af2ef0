using System.Text.Json;
using SignSvc.Signing.Access.Policies;

namespace SignSvc.Signing.Access.Limits;

/// <summary>A limit as a statement writes it: <c>"limit":{"per":"caller","perSecond":20,"burst":40,"uses":1000,"periodSeconds":86400}</c>.</summary>
internal static class LimitJson
{
    private static readonly (string Word, LimitShare Share)[] Shares =
        [("caller", LimitShare.Caller), ("callerAndKey", LimitShare.CallerAndKey), ("key", LimitShare.Key)];

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, naming the statement.</exception>
    public static Limit Read(JsonElement json, string what)
    {
        PolicyReader.Require(json.ValueKind == JsonValueKind.Object, $"{what}: limit is an object.");
        var members = PolicyReader.Members(json, what, "per", "perSecond", "burst", "uses", "periodSeconds");
        var per = members.GetValueOrDefault("per") is { ValueKind: JsonValueKind.String } word ? word.GetString() : null;
        var share = Shares.Where(s => string.Equals(s.Word, per, StringComparison.Ordinal)).ToArray();
        PolicyReader.Require(share.Length == 1, $"{what}: per is {string.Join(", ", Shares.Select(s => s.Word))}.");
        var limit = new Limit
        {
            Per = share[0].Share,
            PerSecond = members.TryGetValue("perSecond", out var rate)
                ? rate.ValueKind == JsonValueKind.Number && rate.TryGetDouble(out var perSecond) ? perSecond : throw PolicyReader.Refused($"{what}: perSecond is a number.")
                : null,
            Burst = Whole(members, "burst", what),
            Uses = Whole(members, "uses", what),
            PeriodSeconds = Whole(members, "periodSeconds", what),
        };
        return limit.Fault is { } fault ? throw PolicyReader.Refused($"{what}: {fault}.") : limit;
    }

    public static void Write(Utf8JsonWriter writer, Limit limit)
    {
        writer.WriteStartObject("limit");
        writer.WriteString("per", Shares.First(s => s.Share == limit.Per).Word);
        if (limit.PerSecond is { } rate)
            writer.WriteNumber("perSecond", rate);
        if (limit.Burst is { } burst)
            writer.WriteNumber("burst", burst);
        if (limit.Uses is { } uses)
            writer.WriteNumber("uses", uses);
        if (limit.PeriodSeconds is { } seconds)
            writer.WriteNumber("periodSeconds", seconds);
        writer.WriteEndObject();
    }

    private static int? Whole(Dictionary<string, JsonElement> members, string name, string what) =>
        !members.TryGetValue(name, out var json) ? null
        : json.ValueKind == JsonValueKind.Number && json.TryGetInt32(out var number) ? number
        : throw PolicyReader.Refused($"{what}: {name} is a whole number.");
}
