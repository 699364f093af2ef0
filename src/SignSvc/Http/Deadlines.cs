using System.Globalization;
using SignSvc.Grpc.Wire;
using SignSvc.Signing;
using SignSvc.Signing.Backends.Budgets;

namespace SignSvc.Http;

/// <summary>
/// How long a caller waits, as it says itself: <c>Request-Timeout</c> in seconds, or gRPC's <c>grpc-timeout</c>. The work ends
/// by then, with a problem and a record, and no backend is asked for what nobody waits for. Who says nothing waits as
/// long as the backend does: 5 seconds for a signature.
/// </summary>
public static class Deadlines
{
    private const string Header = "Request-Timeout";
    private const double MostSeconds = 300;

    /// <summary>Between the deadline of backends' calls and the end of all work, so that who can say what was too slow does.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(50);

    public static void UseDeadlines(this WebApplication app)
    {
        var time = app.Services.GetRequiredService<TimeProvider>();
        app.Use(next => http =>
        {
            if (http.Request.Headers.TryGetValue(Header, out var header))
            {
                var patience = Parse(header);
                if (!IsGrpc(http))
                    return WithinAsync(next, http, patience, time);
                Shorten(http.Request.Headers, patience);
            }

            return http.Request.Headers.GrpcTimeout is [{ } grpc] && TimeoutHeader.TryParse(grpc, out var timeout)
                ? WithTermsAsync(next, http, timeout, time)
                : next(http);
        });
    }

    private static bool IsGrpc(HttpContext http) => http.Request.ContentType?.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) == true;

    /// <summary>To a gRPC call <c>Request-Timeout</c> is the deadline of gRPC, where none that is sooner is given: it has one end, and one status for it.</summary>
    private static void Shorten(IHeaderDictionary headers, TimeSpan patience)
    {
        if (headers.GrpcTimeout.Count == 0 || (headers.GrpcTimeout is [{ } own] && TimeoutHeader.TryParse(own, out var timeout) && timeout > patience))
            headers.GrpcTimeout = string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(patience.TotalMilliseconds):0}m");
    }

    /// <summary>gRPC ends its calls by itself; only the backends have to hear of the deadline.</summary>
    private static async Task WithTermsAsync(RequestDelegate next, HttpContext http, TimeSpan patience, TimeProvider time)
    {
        using var terms = CallTerms.Begin(Lane.Interactive, patience, time);
        await next(http);
    }

    private static async Task WithinAsync(RequestDelegate next, HttpContext http, TimeSpan patience, TimeProvider time)
    {
        using var terms = CallTerms.Begin(Lane.Interactive, patience, time);
        using var passing = new CancellationTokenSource(patience + Grace, time);
        var left = http.RequestAborted;
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(passing.Token, left);
        http.RequestAborted = ending.Token;
        try
        {
            await next(http);
        }
        catch (OperationCanceledException e) when (!left.IsCancellationRequested && passing.IsCancellationRequested)
        {
            throw new SigningException(SigningFault.DeadlineExceeded, $"The request was not done within its {Header}.", e);
        }
        finally
        {
            // The answer is written after the deadline, too.
            http.RequestAborted = left;
        }
    }

    private static TimeSpan Parse(Microsoft.Extensions.Primitives.StringValues header) =>
        header is [{ } text]
        && double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds)
        && seconds is > 0 and <= MostSeconds
            ? TimeSpan.FromSeconds(seconds)
            : throw new SigningException(SigningFault.InvalidRequest, $"{Header} is a number of seconds above 0, at most {MostSeconds}.");
}
