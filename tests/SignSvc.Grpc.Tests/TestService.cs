using Google.Protobuf;
using Microsoft.AspNetCore.Routing;
using SignSvc.Grpc.Rpc;
using SignSvc.Grpc.Tests.Interop;
using BoolValue = SignSvc.Grpc.Tests.Interop.BoolValue;
using Duration = Google.Protobuf.WellKnownTypes.Duration;

namespace SignSvc.Grpc.Tests;

/// <summary>
/// The server of gRPC's interoperability tests (doc/interop-test-descriptions.md, Server), and three things beside: the
/// request header <c>x-fail</c> chooses a failure, <c>x-await-cancel</c> a handler that waits to be cancelled, and
/// <c>x-report</c> makes it answer what the call said of itself.
/// </summary>
public sealed class TestService
{
    private const string EchoHeader = "x-grpc-test-echo-initial";
    private const string EchoTrailer = "x-grpc-test-echo-trailing-bin";

    private int _running;

    /// <summary>Completes when a handler that waits for its cancellation has seen it.</summary>
    public TaskCompletionSource<string> Cancelled { get; private set; } = New();

    public TaskCompletionSource Waiting { get; private set; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public int Running => Volatile.Read(ref _running);

    public void ExpectCancellation()
    {
        Cancelled = New();
        Waiting = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    public void Map(IEndpointRouteBuilder endpoints) =>
        endpoints.MapGrpcService(TestReflection.Descriptor.Services[0], methods => methods
            .Unary<Empty, Empty>("EmptyCall", (_, call) => Counted(async () =>
            {
                await Prepare(call);
                return new Empty();
            }))
            .Unary<SimpleRequest, SimpleResponse>("UnaryCall", (request, call) => Counted(() => UnaryCall(request, call)))
            .ServerStreaming<StreamingOutputCallRequest, StreamingOutputCallResponse>(
                "StreamingOutputCall", async (request, responses, call) =>
                {
                    await Prepare(call);
                    await Answer(request, responses, call);
                })
            .ClientStreaming<StreamingInputCallRequest, StreamingInputCallResponse>("StreamingInputCall", StreamingInputCall)
            .Duplex<StreamingOutputCallRequest, StreamingOutputCallResponse>("FullDuplexCall", FullDuplexCall));

    private async ValueTask<SimpleResponse> UnaryCall(SimpleRequest request, GrpcCall call)
    {
        await Prepare(call);
        Fail(request.ResponseStatus);
        CheckCompression(request.ExpectCompressed, call);
        call.Compress = request.ResponseCompressed?.Value ?? false;
        if (call.RequestHeaders.TryGet("x-report", out _))
            return new SimpleResponse { Payload = new Payload { Body = ByteString.CopyFromUtf8(Report(call)) } };
        return new SimpleResponse { Payload = Zeros(request.ResponseSize) };
    }

    private async ValueTask<StreamingInputCallResponse> StreamingInputCall(
        IAsyncEnumerable<StreamingInputCallRequest> requests, GrpcCall call)
    {
        await Prepare(call);
        var sum = 0;
        try
        {
            await foreach (var request in requests.WithCancellation(call.CancellationToken))
            {
                CheckCompression(request.ExpectCompressed, call);
                sum += request.Payload.Body.Length;
                Waiting.TrySetResult();
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            Cancelled.TrySetResult(e.GetType().Name);
            throw;
        }

        return new StreamingInputCallResponse { AggregatedPayloadSize = sum };
    }

    private static async ValueTask FullDuplexCall(
        IAsyncEnumerable<StreamingOutputCallRequest> requests, ResponseWriter<StreamingOutputCallResponse> responses, GrpcCall call)
    {
        Echo(call);
        await call.SendHeadersAsync();
        await foreach (var request in requests.WithCancellation(call.CancellationToken))
        {
            Fail(request.ResponseStatus);
            await Answer(request, responses, call);
        }
    }

    private static async Task Answer(
        StreamingOutputCallRequest request, ResponseWriter<StreamingOutputCallResponse> responses, GrpcCall call)
    {
        // The encoding is announced before the first message; the messages choose for themselves.
        call.Compress = request.ResponseParameters.Any(p => p.Compressed?.Value == true);
        if (call.Compress)
            await call.SendHeadersAsync();
        foreach (var parameters in request.ResponseParameters)
        {
            if (parameters.IntervalUs > 0)
                await Task.Delay(TimeSpan.FromMicroseconds(parameters.IntervalUs), TimeProvider.System, call.CancellationToken);
            call.Compress = parameters.Compressed?.Value ?? false;
            await responses.WriteAsync(new StreamingOutputCallResponse { Payload = Zeros(parameters.Size) });
        }
    }

    private async Task Prepare(GrpcCall call)
    {
        Echo(call);
        if (call.RequestHeaders.TryGet("x-fail", out var how))
            throw Failure(how);
        if (!call.RequestHeaders.TryGet("x-await-cancel", out _))
            return;

        Waiting.TrySetResult();
        var never = new TaskCompletionSource();
        try
        {
            await never.Task.WaitAsync(call.CancellationToken);
        }
        catch (OperationCanceledException e)
        {
            Cancelled.TrySetResult(e.GetType().Name);
            throw;
        }
    }

    private static Exception Failure(string how) => how switch
    {
        "details" => new GrpcException(StatusCode.ResourceExhausted, "Too much of ☺.")
        {
            Details =
            [
                new ErrorInfo { Reason = "RATE_LIMITED", Domain = "signsvc", Metadata = { ["key"] = "release" } },
                new RetryInfo { RetryDelay = Duration.FromTimeSpan(TimeSpan.FromSeconds(1.5)) },
                new BadRequest { FieldViolations = { new BadRequest.Types.FieldViolation { Field = "digest", Description = "32 bytes" } } },
            ],
        },
        "huge-details" => new GrpcException(StatusCode.NotFound, new string('x', 5000))
        {
            Details = [new ErrorInfo { Reason = new string('R', 20_000) }],
        },
        "trailers" => WithTrailers(),
        "mapped" => new TimeZoneNotFoundException("Kept from the caller."),
        _ => new InvalidOperationException("A secret of the server."),
    };

    private static GrpcException WithTrailers()
    {
        var fault = new GrpcException(StatusCode.Aborted, "With trailers.");
        fault.Trailers.Append("x-text", "seen");
        fault.Trailers.Append("x-bytes-bin", [0, 1, 254, 255]);
        return fault;
    }

    private static void Echo(GrpcCall call)
    {
        if (call.RequestHeaders.TryGet(EchoHeader, out var text))
            call.ResponseHeaders.Append(EchoHeader, text);
        foreach (var bytes in call.RequestHeaders.GetAllBinary(EchoTrailer))
            call.Trailers.Append(EchoTrailer, bytes);
    }

    private static string Report(GrpcCall call) =>
        $"{call.Peer}|{call.Deadline:O}|{string.Join(',', call.RequestHeaders.GetAll("x-many"))}";

    private static void Fail(EchoStatus? status)
    {
        if (status is { Code: not 0 })
            throw new GrpcException((StatusCode)status.Code, status.Message);
    }

    private static void CheckCompression(BoolValue? expected, GrpcCall call)
    {
        if (expected is not null && expected.Value != call.Reader.LastWasCompressed)
            throw new GrpcException(StatusCode.InvalidArgument, "The request is not compressed as it says.");
    }

    private static Payload Zeros(int size) => new() { Body = UnsafeByteOperations.UnsafeWrap(new byte[size]) };

    private async ValueTask<T> Counted<T>(Func<ValueTask<T>> run)
    {
        Interlocked.Increment(ref _running);
        try
        {
            return await run();
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }

    private static TaskCompletionSource<string> New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
