namespace SignSvc.Operations.Tests.LiveAlarms;

/// <summary>A fault of the real service, and the alarms that it has to set off.</summary>
/// <typeparam name="TSite">What the fault is staged on.</typeparam>
internal sealed record StagedFault<TSite>(string[] Alarms, Func<TSite, Task> StageAsync)
{
    /// <summary>What a loss of signatures to the service's own trouble sets off, where a test's history is all that Prometheus has.</summary>
    public static readonly string[] LostSignatures =
        ["SignSvcErrorBudgetBurnsFast", "SignSvcErrorBudgetBurns", "SignSvcErrorBudgetBurnsSlowly", "SignSvcErrorBudgetAtRisk"];

    /// <summary>What goes on until the alarms fire: callers who ask.</summary>
    public Func<TSite, Task> MeanwhileAsync { get; init; } = _ => Task.CompletedTask;

    /// <summary>Alarms that the fault explains as well, and that may come or stay away.</summary>
    public string[] Explains { get; init; } = [];
}
