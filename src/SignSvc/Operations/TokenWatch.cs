using SignSvc.Backends.Pkcs11;
using SignSvc.Embedded;
using SignSvc.Signing.Backends.Budgets;

namespace SignSvc.Operations;

/// <summary>Says in the log once when a token of an HSM is away, why, and when it is back; likewise when threads hang in its module.</summary>
public sealed partial class TokenWatch(Node node, TimeProvider time, ILogger<TokenWatch> log) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Dictionary<(string Backend, int Token), Told> _told = [];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        do
        {
            foreach (var backend in node.Backends.All.Select(b => b is BudgetedBackend budgeted ? budgeted.Inner : b).OfType<Pkcs11Backend>())
            {
                var tokens = backend.Status;
                for (var i = 0; i < tokens.Count; i++)
                    _told[(backend.Name, i)] = Tell(_told.GetValueOrDefault((backend.Name, i)) ?? new Told(null, 0, 0), tokens[i]);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private Told Tell(Told told, Pkcs11TokenStatus token)
    {
        if (token.Abandoned > told.Abandoned)
            LogHangs(token.Token, token.Abandoned);
        if (token.State == Pkcs11TokenState.Ready)
        {
            if (told.Connections == 0)
                LogConnected(token.Token);
            else if (told.Trouble is not null || token.Connections > told.Connections)
                LogBack(token.Token);
            return new Told(null, token.Connections, token.Abandoned);
        }

        // Of a token that comes back within the interval, the next round says that it was connected again.
        if (token is { State: Pkcs11TokenState.Unavailable, Trouble: { } trouble } && !string.Equals(trouble, told.Trouble, StringComparison.Ordinal))
        {
            if (told.Trouble is null)
                LogAway(token.Token, trouble);
            else
                LogStillAway(token.Token, trouble);
            return told with { Trouble = trouble, Abandoned = token.Abandoned };
        }

        return told with { Abandoned = token.Abandoned };
    }

    [LoggerMessage(1611, LogLevel.Information, "The token {Token} is connected")]
    private partial void LogConnected(string token);

    [LoggerMessage(1612, LogLevel.Error, "The token {Token} is away, and what needs it is refused: {Trouble} It is found again by itself")]
    private partial void LogAway(string token, string trouble);

    /// <summary>Only when the reason becomes another one: a token that was gone is there again and refuses the PIN, say.</summary>
    [LoggerMessage(1615, LogLevel.Warning, "The token {Token} is still away, by now for another reason: {Trouble}")]
    private partial void LogStillAway(string token, string trouble);

    [LoggerMessage(1613, LogLevel.Warning, "The token {Token} was lost and is connected again")]
    private partial void LogBack(string token);

    [LoggerMessage(1614, LogLevel.Error, "{Hanging} calls hang in the module of the token {Token}; their threads are given up until they return")]
    private partial void LogHangs(string token, int hanging);

    private sealed record Told(string? Trouble, int Connections, int Abandoned);
}
