using System.Diagnostics;
using System.Globalization;
using System.Text;
using SignSvc.Load.Arrivals;
using SignSvc.Load.Calls;

namespace SignSvc.Load.Running;

/// <summary>Drives one flow: a thread that sends each call when it is due, and never waits for an answer.</summary>
internal sealed class FlowRun(Flow flow, ITransport transport, TimeSpan warmUp, int seed) : IDisposable
{
    /// <summary>How long answers are waited for after the last arrival. What has none by then has failed.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    /// <summary>Calls that had no answer when everything was to end. An aborted run does not count them: nothing is known of them.</summary>
    private readonly CancellationTokenSource _hurry = new();
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _outstanding = 1;
    private volatile bool _isAborted;

    public FlowResult Figures { get; } = new(flow.Name) { Measured = flow.Pace.Busy };

    public Flow Flow => flow;

    public int Outstanding => Math.Max(0, Volatile.Read(ref _outstanding) - 1);

    /// <param name="started">Of all flows; the measured time begins when the warm-up has passed.</param>
    /// <param name="cancellationToken">Aborts: no more calls are sent, those under way end, and the figures are those of the time until then.</param>
    public async Task RunAsync(long started, CancellationToken cancellationToken)
    {
        var sending = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() =>
        {
            try
            {
                Send(started, cancellationToken);
                sending.SetResult();
            }
            catch (Exception e)
            {
                // Not swallowed: it ends the run by the task that is awaited below.
                sending.SetException(e);
            }
        })
        { IsBackground = true, Name = flow.Name };
        thread.Start();
        await sending.Task;
        Leave();
        try
        {
            await _idle.Task.WaitAsync(Patience, TimeProvider.System, cancellationToken);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            _isAborted = e is OperationCanceledException;
            await _hurry.CancelAsync();
            await _idle.Task;
        }

        if (cancellationToken.IsCancellationRequested)
            Figures.Measured = flow.Pace.BusyUntil(Stopwatch.GetElapsedTime(started) - warmUp);
    }

    public void Dispose() => _hurry.Dispose();

    /// <summary>The warm-up has the rate that the flow begins with, and at least one call a second.</summary>
    private void Send(long started, CancellationToken cancellationToken)
    {
        // A seed makes a run's arrivals repeatable; nothing secret hangs on it.
        var random = new Random(seed);
        var due = Enumerable.Empty<(TimeSpan At, bool Counts)>();
        if (warmUp > TimeSpan.Zero)
            due = Pace.Begin.Steady(Math.Max(1, flow.Pace.RateAt(TimeSpan.Zero)), warmUp).Times(flow.Arrival, random).Select(t => (t, false));
        due = due.Concat(flow.Pace.Times(flow.Arrival, random).Select(t => (t + warmUp, true)));
        foreach (var (at, counts) in due)
        {
            Clock.WaitUntil(started, at, cancellationToken);
            if (cancellationToken.IsCancellationRequested)
                return;
            if (Outstanding >= flow.OutstandingLimit)
            {
                if (counts)
                    Figures.CouldNotSend();
                continue;
            }

            Interlocked.Increment(ref _outstanding);
            if (counts)
                Figures.Sent(Stopwatch.GetElapsedTime(started) - at);
            _ = DoAsync(started, at, counts);
        }
    }

    private async Task DoAsync(long started, TimeSpan due, bool counts)
    {
        try
        {
            foreach (var step in flow.Steps)
            {
                if (step.Think > TimeSpan.Zero)
                {
                    await Task.Delay(step.Think, TimeProvider.System, _hurry.Token);
                    // Whoever thinks sends when he is done: from then on he waits.
                    due = Stopwatch.GetElapsedTime(started);
                }

                if (!await CallAsync(step.Call(), started, due, counts))
                    return;
                due = Stopwatch.GetElapsedTime(started);
            }
        }
        catch (OperationCanceledException)
        {
            // Thinking when the run ended: no call was under way.
        }
        finally
        {
            Leave();
        }
    }

    private async Task<bool> CallAsync(Call call, long started, TimeSpan due, bool counts)
    {
        try
        {
            var answer = await transport.SendAsync(flow.Inspect is null ? call : call with { KeepsBody = true }, _hurry.Token);
            var latency = Stopwatch.GetElapsedTime(started) - due;
            var fault = answer.Status is (>= 200 and < 300) or 304 ? flow.Inspect?.Invoke(answer) : OutcomeOf(answer);
            if (!counts)
                return fault is null;
            if (fault is null)
                Figures.Success(OutcomeOf(answer), latency);
            else if (flow.Refusals.Contains(answer.Status))
                Figures.Refusal(fault, saysWhen: answer.RetryAfter is not null);
            else
                Figures.Failure(fault);
            return fault is null;
        }
        catch (OperationCanceledException)
        {
            if (counts && !_isAborted)
                Figures.Failure("no answer");
            return false;
        }
        catch (Exception e) when (NoAnswer.Is(e))
        {
            if (counts)
                Figures.Loss(e.GetType().Name);
            return false;
        }
        catch (Exception e)
        {
            // An answer that cannot be read, a defect of the driver: whatever it is, the call has not succeeded, and none is forgotten.
            if (counts)
                Figures.Failure(e.GetType().Name);
            return false;
        }
    }

    private void Leave()
    {
        if (Interlocked.Decrement(ref _outstanding) == 0)
            _idle.TrySetResult();
    }

    private static string OutcomeOf(Answer answer)
    {
        if (answer.Status < 400)
            return answer.Status.ToString(CultureInfo.InvariantCulture);
        return $"{answer.Status}{ProblemOf(answer)}{(answer.RetryAfter is null ? "" : ", Retry-After")}";
    }

    private static string ProblemOf(Answer answer)
    {
        ReadOnlySpan<byte> type = "urn:signsvc:problem:"u8;
        var at = answer.Body.Span.IndexOf(type);
        if (at < 0)
            return "";
        var code = answer.Body.Span[(at + type.Length)..];
        var end = code.IndexOf((byte)'"');
        return $" {Encoding.ASCII.GetString(end < 0 ? code : code[..end])}";
    }
}
