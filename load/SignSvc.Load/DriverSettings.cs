namespace SignSvc.Load;

/// <summary>Settings of the runtime that are the driver's alone.</summary>
internal static class DriverSettings
{
    public const string InlineCompletions = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    /// <summary>What is measured runs as it is shipped.</summary>
    public static void KeepFrom(IDictionary<string, string?> environment) => environment.Remove(InlineCompletions);
}
