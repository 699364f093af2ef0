using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Faults;

/// <summary>The faults in force. The first that fits a request and has hits left is the one it gets.</summary>
public sealed class FaultScript(int seed)
{
    private readonly Lock _gate = new();
    private readonly Random _random = new(seed);
    private readonly List<Line> _lines = [];
    private TaskCompletionSource _cleared = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public IReadOnlyList<Fault> Faults
    {
        get
        {
            lock (_gate)
                return [.. _lines.Select(l => l.Fault)];
        }
    }

    /// <summary>Requests that got a fault since the start.</summary>
    public int Struck { get; private set; }

    public void Add(Fault fault)
    {
        if (fault.Probability is not (>= 0 and <= 1) || fault.Times < 1 || fault.Skip < 0)
            throw new ArgumentException(
                "A fault has a probability of 0 to 1, hits at least once and skips no negative number.",
                nameof(fault));
        lock (_gate)
            _lines.Add(new Line(fault) { Skips = fault.Skip, Hits = fault.Times ?? int.MaxValue });
    }

    /// <summary>Ends all faults; requests that hang are let go with a reset.</summary>
    public void Clear()
    {
        lock (_gate)
        {
            _lines.Clear();
            _cleared.SetResult();
            _cleared = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    /// <summary>Takes the fault for a request, and the task that ends when the script is cleared.</summary>
    internal (Fault? Fault, Task Cleared) Take(string operation, Caller caller, string? keyId)
    {
        lock (_gate)
        {
            var line = _lines.Find(l => l.Hits > 0 && Fits(l.Fault, operation, caller, keyId) && Strikes(l));
            if (line is not null)
                Struck++;
            return (line?.Fault, _cleared.Task);
        }
    }

    private bool Strikes(Line line)
    {
        if (line.Skips > 0)
        {
            line.Skips--;
            return false;
        }

        if (_random.NextDouble() >= line.Fault.Probability)
            return false;
        line.Hits--;
        return true;
    }

    private static bool Fits(Fault fault, string operation, Caller caller, string? keyId) =>
        Is(fault.Operation, operation) && Is(fault.Region, caller.Region) && Is(fault.AccountId, caller.AccountId)
        && (fault.KeyId is null || keyId?.EndsWith(fault.KeyId, StringComparison.Ordinal) == true);

    private static bool Is(string? wanted, string actual) =>
        wanted is null || string.Equals(wanted, actual, StringComparison.Ordinal);

    private sealed record Line(Fault Fault)
    {
        public int Skips { get; set; }

        public int Hits { get; set; }
    }
}
