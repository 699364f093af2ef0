using System.Text.Json.Nodes;

namespace SignSvc.Emulation.Wire;

/// <summary>Values as awsJson1.1 writes them.</summary>
internal static class Answer
{
    /// <summary>Seconds since 1970 with milliseconds.</summary>
    public static JsonNode Time(DateTimeOffset time) => JsonValue.Create(time.ToUnixTimeMilliseconds() / 1000.0);

    public static JsonNode Blob(byte[] bytes) => JsonValue.Create(Convert.ToBase64String(bytes));

    public static JsonArray List(IEnumerable<string> values) => new([.. values.Select(v => JsonValue.Create(v))]);
}
