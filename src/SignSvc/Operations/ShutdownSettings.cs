namespace SignSvc.Operations;

/// <summary>How the process ends when it is asked to (SIGTERM).</summary>
public sealed record ShutdownSettings
{
    /// <summary>How long it goes on serving after SIGTERM, at the most, while it says that it is not ready and closes each connection after its answer. It stops earlier when nobody asks any more. Too short, and balancers still send requests here.</summary>
    [Reloadable]
    public int DrainSeconds { get; set; } = 5;

    /// <summary>How long requests in work may then take. Drain and this together stay below what the orchestrator waits before it kills (Kubernetes: 30).</summary>
    [Reloadable]
    public int GraceSeconds { get; set; } = 10;

    internal IEnumerable<string> Check()
    {
        if (DrainSeconds is < 0 or > 300)
            yield return "Shutdown:DrainSeconds is from 0 to 300.";
        if (GraceSeconds is < 1 or > 300)
            yield return "Shutdown:GraceSeconds is from 1 to 300.";
    }
}
