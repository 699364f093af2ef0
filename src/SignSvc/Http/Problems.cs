using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.Extensions.Options;
using SignSvc.Access;
using SignSvc.Signing;

namespace SignSvc.Http;

/// <summary>An RFC 9457 problem.</summary>
/// <param name="Type"><c>urn:signsvc:problem:</c> and the stable code.</param>
/// <param name="AuditId">The record of this refusal, where there is one.</param>
/// <param name="ApprovalId">What the request waits for, where that is it.</param>
/// <param name="RetryAfterSeconds">Of a limit that refused it: an item of a batch has no header.</param>
public sealed record Problem(string Type, string Title, int Status, string Detail, string? AuditId, string? TraceId, string? ApprovalId = null, double? RetryAfterSeconds = null);

/// <summary>The one place where faults become HTTP answers.</summary>
public static class Problems
{
    public static Problem Of(SigningException fault)
    {
        var (status, title) = Describe(fault.Fault);
        return Create(Code(fault.Fault), status, title, fault.Message, fault.AuditId) with
        {
            ApprovalId = fault.Approval?.Approval.Id,
            RetryAfterSeconds = fault.Limit is null ? null : Math.Round(fault.RetryAfter?.TotalSeconds ?? 0, 3),
        };
    }

    public static void UseProblems(this WebApplication app)
    {
        var writer = app.Services.GetRequiredService<ProblemWriter>();
        app.Use(next => async http =>
        {
            try
            {
                await next(http);
                if (http.Response is { HasStarted: false, StatusCode: >= 400, ContentLength: null, ContentType: null })
                    await writer.WriteAsync(http, BindingProblems.OfStatus(http, http.Response.StatusCode));
            }
            catch (SigningException e) when (e.Approval is { } approval)
            {
                await writer.WritePendingAsync(http, e, ApprovalAnswer.Of(approval, e.AuditId, e.Message));
            }
            catch (SigningException e)
            {
                await writer.WriteAsync(http, Of(e), e.RetryAfter);
            }
            catch (BadHttpRequestException e)
            {
                await writer.WriteAsync(http, BindingProblems.Of(http, e));
            }
            catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
            {
                // The caller has gone; nobody reads an answer.
            }
            catch (Exception e)
            {
                await writer.WriteInternalAsync(http, e);
            }
        });
    }

    internal static Problem Create(string code, int status, string title, string detail, string? auditId = null) =>
        new($"urn:signsvc:problem:{code}", title, status, detail, auditId, Activity.Current?.TraceId.ToHexString());

    private static string Code(SigningFault fault) => JsonNamingPolicy.KebabCaseLower.ConvertName(fault.ToString());

    private static (int Status, string Title) Describe(SigningFault fault) => fault switch
    {
        SigningFault.InvalidRequest => (400, "The request is not valid."),
        SigningFault.InvalidDigest => (400, "The digest does not have the algorithm's length."),
        SigningFault.UnknownAlgorithm => (400, "The algorithm is not known."),
        SigningFault.AlgorithmMismatch => (400, "The algorithm does not fit the key."),
        SigningFault.HardwareRequired => (400, "This service demands hardware for assured keys."),
        SigningFault.TooLarge => (413, "The request is too large."),
        SigningFault.Unauthenticated => (401, "The caller is not authenticated."),
        SigningFault.Forbidden => (403, "The caller may not do this."),
        SigningFault.NotFound => (404, "It does not exist."),
        SigningFault.RateLimited => (429, "The caller sends more than its share."),
        SigningFault.NameTaken => (409, "The name is taken."),
        SigningFault.Conflict => (409, "It was changed meanwhile."),
        SigningFault.KeyNotUsable => (409, "The key does not allow this now."),
        SigningFault.StillInUse => (409, "It is still in use."),
        SigningFault.LocksOut => (409, "Nobody could take it back."),
        // Alone a request is answered 202; this is for an item of a batch.
        SigningFault.PreconditionFailed => (412, "It was changed after it was read."),
        SigningFault.ApprovalRequired => (409, "Others have to approve it."),
        SigningFault.Unsupported => (422, "The backend cannot do this."),
        SigningFault.Overloaded => (503, "Too much at once."),
        SigningFault.BackendUnavailable => (503, "The backend does not answer."),
        SigningFault.StoreUnavailable => (503, "The store does not answer."),
        SigningFault.AuditUnavailable => (503, "The audit cannot be written, so nothing is signed."),
        SigningFault.DeadlineExceeded => (504, "The deadline passed."),
        SigningFault.BackendFailed => (502, "The backend failed."),
        SigningFault.StoreFailed => (500, "The store failed."),
        _ => (500, "Something is wrong with the service."),
    };
}

/// <summary>Puts problems on the wire.</summary>
public sealed partial class ProblemWriter(IOptions<JsonOptions> json, ILogger<ProblemWriter> log)
{
    /// <summary>Where nothing better is known. Jitter is added so that callers do not come back together.</summary>
    private static readonly TimeSpan DefaultRetryAfter = TimeSpan.FromSeconds(1);

    public async Task WriteAsync(HttpContext http, Problem problem, TimeSpan? retryAfter = null)
    {
        if (http.Response.HasStarted)
        {
            http.Abort();
            return;
        }

        Note(problem);
        http.Response.StatusCode = problem.Status;
        http.Response.Headers.CacheControl = "no-store";
        if (problem.Status is 429 or 503)
        {
            var seconds = Math.Ceiling((retryAfter ?? DefaultRetryAfter).TotalSeconds) + RandomNumberGenerator.GetInt32(3);
            http.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        }

        if (problem.Status == 401)
            http.Response.Headers.WWWAuthenticate = "Bearer";
        await http.Response.WriteAsJsonAsync(
            problem, json.Value.SerializerOptions, "application/problem+json", http.RequestAborted);
    }

    /// <summary>No refusal yet: the approval is to be had at the location.</summary>
    public async Task WritePendingAsync(HttpContext http, SigningException pending, ApprovalAnswer approval)
    {
        if (http.Response.HasStarted)
        {
            http.Abort();
            return;
        }

        Note(Problems.Of(pending));
        http.Response.StatusCode = StatusCodes.Status202Accepted;
        http.Response.Headers.Location = $"/v1/approvals/{approval.Id}";
        http.Response.Headers.CacheControl = "no-store";
        await http.Response.WriteAsJsonAsync(approval, json.Value.SerializerOptions, "application/json", http.RequestAborted);
    }

    /// <summary>For trace and log, also of what another protocol words in its own way.</summary>
    internal void Note(Problem problem)
    {
        Activity.Current?.SetTag("error.type", problem.Type);
        // What an operator has to see; what callers did wrong is in the audit, and here only where somebody looks for it.
        if (problem.Status is >= 500 and not 503)
            LogFailed(problem.Type, problem.Status, problem.AuditId);
        else
            LogRefused(problem.Type, problem.Status, problem.AuditId);
    }

    public Task WriteInternalAsync(HttpContext http, Exception e)
    {
        LogUnexpected(e, http.Request.Method, http.Request.Path);
        return WriteAsync(http, Problems.Create(
            "internal", 500, "Something is wrong with the service.", "The log of the service says more under this trace id."));
    }

    [LoggerMessage(1002, LogLevel.Warning, "Answered {Problem} ({Status}), audit record {AuditId}")]
    private partial void LogFailed(string problem, int status, string? auditId);

    [LoggerMessage(1003, LogLevel.Debug, "Answered {Problem} ({Status}), audit record {AuditId}")]
    private partial void LogRefused(string problem, int status, string? auditId);

    [LoggerMessage(1001, LogLevel.Error, "Unexpected fault in {Method} {Path}")]
    private partial void LogUnexpected(Exception e, string method, PathString path);
}
