using System.Buffers;
using System.Globalization;
using System.Text.Json;
using SignSvc.Grpc;
using SignSvc.Http;
using SignSvc.Signing;

namespace SignSvc.Compatibility.Transit;

/// <summary>Marks an endpoint whose refusals a Vault client reads.</summary>
internal sealed class TransitMetadata;

/// <summary>The one place where faults become Vault's errors (<c>{"errors":[…]}</c>); <see cref="Problems"/> is its sibling.</summary>
public static class TransitFaults
{
    private const string Scheme = "Bearer ";

    /// <summary>Stands before authentication: takes Vault's header for the house's own, and words the refusals of both.</summary>
    public static void UseTransitAnswers(this WebApplication app)
    {
        var problems = app.Services.GetRequiredService<ProblemWriter>();
        app.Use(next => http =>
        {
            if (http.GetEndpoint()?.Metadata.GetMetadata<TransitMetadata>() is null)
                return next(http);
            if (http.Request.Headers["X-Vault-Token"].ToString() is { Length: > 0 } token)
                http.Request.Headers.Authorization = Scheme + token;
            return WithWordsAsync(next, http, problems);
        });
    }

    private static async Task WithWordsAsync(RequestDelegate next, HttpContext http, ProblemWriter problems)
    {
        try
        {
            await next(http);
        }
        catch (SigningException e)
        {
            problems.Note(Problems.Of(e));
            await WriteAsync(http, e);
        }
        catch (BadHttpRequestException e)
        {
            await WriteAsync(http, e.StatusCode == StatusCodes.Status413PayloadTooLarge
                ? new SigningException(SigningFault.TooLarge, "The request is too large: hash locally and send the digest, or send smaller batches.")
                : ClientJson.Invalid("The request was cut off or cannot be read."));
        }
    }

    private static async Task WriteAsync(HttpContext http, SigningException fault)
    {
        if (http.Response.HasStarted)
        {
            http.Abort();
            return;
        }

        http.Response.StatusCode = StatusOf(fault.Fault);
        http.Response.Headers.CacheControl = "no-store";
        if (fault.AuditId is not null)
            http.Response.Headers[Faults.AuditIdTrailer] = fault.AuditId;
        if (http.Response.StatusCode is StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable)
            http.Response.Headers.RetryAfter = Math.Ceiling((fault.RetryAfter ?? TimeSpan.FromSeconds(1)).TotalSeconds).ToString(CultureInfo.InvariantCulture);
        var buffer = new ArrayBufferWriter<byte>(256);
        await using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteStartArray("errors");
            // Vault's clients read an empty list at 404 as "there is none", and anything else as a failure.
            if (fault.Fault != SigningFault.NotFound || !HttpMethods.IsGet(http.Request.Method))
                writer.WriteStringValue(Words(fault));
            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        http.Response.ContentType = "application/json";
        http.Response.ContentLength = buffer.WrittenCount;
        await http.Response.Body.WriteAsync(buffer.WrittenMemory, http.RequestAborted);
    }

    /// <summary>Of one item of a batch, too.</summary>
    internal static string Words(SigningException fault) => fault.Fault switch
    {
        SigningFault.Unauthenticated => "permission denied: send X-Vault-Token or 'Authorization: Bearer' with a credential that is neither expired nor revoked",
        SigningFault.Forbidden => $"permission denied: {fault.Message}",
        _ => fault.Message,
    };

    /// <summary>Vault has 400 for whatever is wrong with a request or a key, and 403 also for a bad token.</summary>
    private static int StatusOf(SigningFault fault) => fault switch
    {
        SigningFault.Unauthenticated or SigningFault.Forbidden => StatusCodes.Status403Forbidden,
        SigningFault.NotFound => StatusCodes.Status404NotFound,
        SigningFault.TooLarge => StatusCodes.Status413PayloadTooLarge,
        _ => Problems.Of(new SigningException(fault, "")).Status is var status and >= 429 ? status : StatusCodes.Status400BadRequest,
    };
}
