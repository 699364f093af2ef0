using System.Text;

namespace SignSvc.Load.Calls;

internal static class AcceptedCalls
{
    /// <summary>One call that has to succeed.</summary>
    /// <exception cref="InvalidOperationException">It did not; the message has the answer.</exception>
    public static async Task<Answer> MustAsync(this ITransport transport, Call call, CancellationToken cancellationToken) =>
        Accept(call, await transport.SendAsync(call, cancellationToken));

    /// <inheritdoc cref="MustAsync"/>
    public static Answer Accept(Call call, Answer answer) => answer.Status is >= 200 and < 300
        ? answer
        : throw new InvalidOperationException($"{call.Method} {call.Path} answered {answer.Status}: {Encoding.UTF8.GetString(answer.Body.Span)}");
}
