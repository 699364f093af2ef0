namespace SignSvc.Load;

/// <summary>What is measured runs as it is shipped: with none of the driver's settings, and none that the shell happens to have.</summary>
internal static class DriverSettings
{
    /// <summary>Answers are handled where they arrive, which leaves more of the machine to the service.</summary>
    private const string InlineCompletions = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    /// <summary>What configures the service, its runtime and AWS's SDK.</summary>
    private static readonly string[] Prefixes = ["SignSvc__", "SIGNSVC_", "Kestrel__", "Logging__", "ASPNETCORE_", "DOTNET_", "AWS_", "OTEL_"];

    /// <summary>Where the runtime is installed.</summary>
    private const string Root = "DOTNET_ROOT";

    /// <summary>Read once by the runtime, at the first socket.</summary>
    public static void Apply() => Environment.SetEnvironmentVariable(InlineCompletions, "1");

    /// <summary>A child inherits what its parent has.</summary>
    public static void KeepFrom(IDictionary<string, string?> environment)
    {
        foreach (var name in environment.Keys.Where(IsSetting).ToList())
            environment.Remove(name);
    }

    private static bool IsSetting(string name) =>
        !name.StartsWith(Root, StringComparison.Ordinal) && Prefixes.Any(p => name.StartsWith(p, StringComparison.OrdinalIgnoreCase));
}
