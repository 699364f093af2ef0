using SignSvc.Signing.Audit;

namespace SignSvc.Operations;

/// <summary>Says in the log once that signatures are refused because the audit cannot be written, and once that it is over.</summary>
public sealed partial class AuditWatch(AuditLog audit, TimeProvider time, ILogger<AuditWatch> log) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        string? told = null;
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            var trouble = audit.Trouble;
            if (trouble is not null && told is null)
                LogTrouble(trouble);
            else if (trouble is null && told is not null)
                LogOver();
            told = trouble;
        }
    }

    [LoggerMessage(1601, LogLevel.Error, "Nothing is signed: {Trouble} Look at the disk or the database; this node is not ready meanwhile")]
    private partial void LogTrouble(string trouble);

    [LoggerMessage(1602, LogLevel.Information, "The audit is written again, and signatures are made")]
    private partial void LogOver();
}
