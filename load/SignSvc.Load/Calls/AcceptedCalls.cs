using System.Text;

namespace SignSvc.Load.Calls;

internal static class AcceptedCalls
{
    /// <summary>Of a call that is to come again, as often as it is.</summary>
    private const int Attempts = 30;

    /// <summary>One call that has to succeed: one for which there is no room now (503 with Retry-After), is sent again when that says.</summary>
    /// <exception cref="InvalidOperationException">It did not; the message has the answer.</exception>
    public static async Task<Answer> MustAsync(this ITransport transport, Call call, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var answer = await transport.SendAsync(call, cancellationToken);
            if (answer is not { Status: 503, RetryAfter: { } pause } || attempt == Attempts)
                return Accepted(call, answer);
            await Task.Delay(pause, TimeProvider.System, cancellationToken);
        }
    }

    /// <exception cref="InvalidOperationException">It did not succeed; the message has the answer.</exception>
    private static Answer Accepted(Call call, Answer answer) => answer.Status is >= 200 and < 300
        ? answer
        : throw new InvalidOperationException($"{call.Method} {call.Path} answered {answer.Status}: {Encoding.UTF8.GetString(answer.Body.Span)}");
}
