using System.Net.Sockets;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Connections.Features;
using SignSvc.Emulation.Faults;

namespace SignSvc.Emulation.Wire;

/// <summary>
/// The awsJson1.1 protocol of KMS: one path, the operation in X-Amz-Target, errors with their code in <c>__type</c>.
/// </summary>
internal sealed class TrentService(KmsEmulator emulator, SigV4 signatures, Sts sts)
{
    private const string TargetPrefix = "TrentService.";
    private const string ContentType = "application/x-amz-json-1.1";

    private static readonly JsonSerializerOptions Json = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public async Task InvokeAsync(HttpContext context)
    {
        var target = context.Request.Headers["X-Amz-Target"].ToString();
        context.Response.Headers["x-amzn-RequestId"] = NewRequestId();
        if (target.Length == 0 && context.Request.HasFormContentType)
        {
            await sts.InvokeAsync(context, await ReadBodyAsync(context));
            return;
        }

        var name = target.StartsWith(TargetPrefix, StringComparison.Ordinal) ? target[TargetPrefix.Length..] : "";
        if (!HttpMethods.IsPost(context.Request.Method)
            || context.Request.Path != "/"
            || !Operations.ByName.TryGetValue(name, out var operation))
        {
            await WriteErrorAsync(context, new KmsException("UnknownOperationException"));
            return;
        }

        emulator.Calls.Received(operation.Name);
        try
        {
            var answer = await AnswerAsync(context, operation);
            if (answer is null)
                return;
            emulator.Calls.Succeeded(operation.Name);
            await WriteAsync(context, StatusCodes.Status200OK, answer);
        }
        catch (KmsException error)
        {
            if (error.Code is "ThrottlingException")
                emulator.Calls.Throttled(operation.Name);
            else
                emulator.Calls.Failed(operation.Name);
            await WriteErrorAsync(context, error);
        }
    }

    /// <returns>Null where the caller gets no answer.</returns>
    private async Task<JsonObject?> AnswerAsync(HttpContext context, Operation operation)
    {
        var body = await ReadBodyAsync(context);
        var caller = signatures.Authenticate(context.Request, body);
        using var document = Parse(body);
        var (fault, cleared) = emulator.Faults.Take(operation.Name, caller, KeyIdOf(document.RootElement));
        await DelayAsync(emulator.DrawLatency(), context.RequestAborted);
        if (fault is { AfterExecution: false } && await StrikeAsync(context, fault, cleared))
            return null;

        var call = new Call(
            operation.Name,
            caller,
            new Parameters(document.RootElement),
            emulator.World,
            emulator.Quotas,
            emulator.Options.Clock.GetUtcNow());
        if (operation.ChargedByName)
            call.Charge(operation.Name);
        var answer = Run(operation, call);
        await emulator.SaveAsync();

        if (fault is { AfterExecution: true } && await StrikeAsync(context, fault, cleared))
            return null;
        if (fault is { Kind: FaultKind.WrongAnswer })
            WrongAnswers.Falsify(answer);
        return fault is { Kind: FaultKind.EmptyAnswer } ? [] : answer;
    }

    private static string? KeyIdOf(JsonElement request) =>
        request.ValueKind == JsonValueKind.Object && request.TryGetProperty("KeyId", out var id) && id.ValueKind == JsonValueKind.String ? id.GetString() : null;

    private static JsonObject Run(Operation operation, Call call)
    {
        if (!operation.Exclusive && !operation.Writes)
            return operation.Handle(call);
        var answer = operation.Exclusive ? null : operation.Handle(call);
        lock (call.World.Gate)
        {
            answer ??= operation.Handle(call);
            if (operation.Writes)
                call.World.Touch();
            return answer;
        }
    }

    /// <returns>Whether the connection is gone; a wrong answer is not given here.</returns>
    private async Task<bool> StrikeAsync(HttpContext context, Fault fault, Task cleared)
    {
        switch (fault.Kind)
        {
            case FaultKind.Throttle:
                throw KmsException.Throttling();
            case FaultKind.Error:
                throw new KmsException(fault.Code, "The request was rejected by a scripted fault.", fault.Status);
            case FaultKind.Hang:
                await cleared
                    .WaitAsync(
                        fault.HangFor ?? Timeout.InfiniteTimeSpan,
                        emulator.Options.RequestClock,
                        context.RequestAborted)
                    .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                Reset(context);
                return true;
            case FaultKind.Reset:
                Reset(context);
                return true;
            default:
                return false;
        }
    }

    private string NewRequestId() => Guid.CreateVersion7(emulator.Options.RequestClock.GetUtcNow()).ToString();

    private async Task DelayAsync(TimeSpan time, CancellationToken cancellationToken)
    {
        if (time != TimeSpan.Zero)
            await Task.Delay(time, emulator.Options.RequestClock, cancellationToken);
    }

    /// <summary>Without lingering, closing a socket sends RST instead of FIN.</summary>
    private static void Reset(HttpContext context)
    {
        if (context.Features.Get<IConnectionSocketFeature>() is { } connection)
            connection.Socket.LingerState = new LingerOption(enable: true, seconds: 0);
        context.Abort();
    }

    private static async Task<byte[]> ReadBodyAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        return body.ToArray();
    }

    private static JsonDocument Parse(byte[] body)
    {
        try
        {
            return JsonDocument.Parse(
                body.Length == 0 ? "{}"u8.ToArray() : body,
                new JsonDocumentOptions { MaxDepth = 16 });
        }
        catch (JsonException)
        {
            throw new KmsException("SerializationException");
        }
    }

    private static Task WriteErrorAsync(HttpContext context, KmsException error)
    {
        var answer = new JsonObject { ["__type"] = error.Code };
        if (error.WireMessage is not null)
            answer["message"] = error.WireMessage;
        return WriteAsync(context, error.Status, answer);
    }

    private static Task WriteAsync(HttpContext context, int status, JsonObject answer)
    {
        var bytes = JsonSerializer.SerializeToUtf8Bytes(answer, Json);
        context.Response.StatusCode = status;
        context.Response.ContentType = ContentType;
        context.Response.ContentLength = bytes.Length;
        return context.Response.Body.WriteAsync(bytes, context.RequestAborted).AsTask();
    }
}
