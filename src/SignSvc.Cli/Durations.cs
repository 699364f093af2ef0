using System.Globalization;

namespace SignSvc.Cli;

/// <summary>Lengths of time and points in time as people type them.</summary>
internal static class Durations
{
    private const long MaxSeconds = 3660L * 86_400;

    /// <summary>Reads <c>300</c>, <c>300s</c>, <c>15m</c>, <c>2h</c>, <c>7d</c>.</summary>
    public static TimeSpan Parse(string option, string text) =>
        TryParse(text, out var duration)
            ? duration
            : throw CommandException.Usage($"{option} takes a length of time: 300 or 300s, 15m, 2h, 7d.");

    /// <summary>Whole seconds, as the service has them; null stays null.</summary>
    public static int? Seconds(string option, string? text) => text is null ? null : (int)Parse(option, text).TotalSeconds;

    /// <summary>Seconds in their largest unit: <c>30d</c>, <c>36h</c>, <c>90s</c>.</summary>
    public static string Text(long seconds) => seconds switch
    {
        0 => "0s",
        _ when seconds % 86_400 == 0 => string.Create(CultureInfo.InvariantCulture, $"{seconds / 86_400}d"),
        _ when seconds % 3600 == 0 => string.Create(CultureInfo.InvariantCulture, $"{seconds / 3600}h"),
        _ when seconds % 60 == 0 => string.Create(CultureInfo.InvariantCulture, $"{seconds / 60}m"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{seconds}s"),
    };

    /// <summary>Reads an RFC 3339 time, or a length of time that is counted back (or on) from now.</summary>
    public static DateTimeOffset ParseTime(string option, string text, TimeProvider time, bool ahead)
    {
        if (TryParse(text, out var duration))
            return ahead ? time.GetUtcNow() + duration : time.GetUtcNow() - duration;
        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            ? at
            : throw CommandException.Usage($"{option} takes a time such as 2030-01-31T12:00:00Z, or a length of time such as 15m, 2h, 7d.");
    }

    public static string Rfc3339(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture);

    public static bool TryParse(string text, out TimeSpan duration)
    {
        duration = default;
        var unit = text.Length == 0 ? 0 : text[^1] switch { 's' => 1, 'm' => 60, 'h' => 3600, 'd' => 86_400, _ => 0 };
        var digits = unit == 0 ? text : text[..^1];
        if (!long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var count) || count > MaxSeconds)
            return false;
        var seconds = count * Math.Max(unit, 1);
        duration = TimeSpan.FromSeconds(seconds);
        return seconds is > 0 and <= MaxSeconds;
    }
}
