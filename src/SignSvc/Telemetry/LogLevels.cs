namespace SignSvc.Telemetry;

/// <summary>The section <c>Logging</c>, which is the framework's own: it throws at a level that it does not know.</summary>
internal static class LogLevels
{
    public static IEnumerable<string> Faults(IConfiguration configuration) => configuration.GetSection("Logging").AsEnumerable()
        .Where(s => s.Value is { Length: > 0 } && s.Key.Contains(":LogLevel:", StringComparison.OrdinalIgnoreCase) && !Enum.TryParse<LogLevel>(s.Value, ignoreCase: true, out _))
        .Select(s => $"{s.Key} is one of {string.Join(", ", Enum.GetNames<LogLevel>())}.");
}
