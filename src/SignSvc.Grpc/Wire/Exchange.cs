using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Logging;

namespace SignSvc.Grpc.Wire;

/// <summary>What every call of a service is held to.</summary>
internal sealed record CallSettings(
    int MaxRequestBytes,
    int MaxResponseBytes,
    Func<Exception, GrpcCall, GrpcException?>? Faults,
    TimeProvider Time,
    ILogger Log,
    CancellationToken Stopping);

/// <summary>Takes an HTTP request through a method and ends it with a status. The edge of the protocol: nothing is thrown past it.</summary>
internal sealed partial class Exchange(Method method, CallSettings settings)
{
    public Task ServeAsync(HttpContext http) =>
        WireFormat.TryAccept(http, out var format) ? ServeAsync(http, format) : Task.CompletedTask;

    private async Task ServeAsync(HttpContext http, WireFormat format)
    {
        GrpcCall? call = null;
        GrpcException? fault = null;
        CancellationTokenRegistration stopping = default;
        try
        {
            call = new GrpcCall(http, method.Descriptor, format, settings);
            ReadEncoding(http, call.Reader);
            LiftByteLimits(http);
            if (method.Descriptor.IsClientStreaming)
                stopping = settings.Stopping.UnsafeRegister(static r => ((MessageReader)r!).Stop(), call.Reader);
            await method.InvokeAsync(call);
        }
        catch (Exception e)
        {
            fault = Fault(http, call, e);
        }
        finally
        {
            await stopping.DisposeAsync();
            call?.End();
        }

        if (call is null)
        {
            Refuse(http, format, fault!);
            return;
        }

        Tag(http, fault?.Status ?? StatusCode.Ok);
        call.Writer.WriteStatus(fault);
    }

    /// <summary>Ends a request that never became a call, in its headers alone.</summary>
    public static void Refuse(HttpContext http, WireFormat format, GrpcException fault)
    {
        http.Response.Headers.ContentType = format.ContentType;
        StatusHeaders.Write(http.Response.Headers, fault);
        fault.TrailersOrNull?.CopyTo(http.Response.Headers);
        Tag(http, fault.Status);
    }

    private GrpcException Fault(HttpContext http, GrpcCall? call, Exception e)
    {
        if (e is GrpcException known)
            return known;
        var cancelled = e is OperationCanceledException;

        // Only looked at when something went wrong: the token of the abort costs an allocation.
        if ((cancelled || e is IOException) && http.RequestAborted.IsCancellationRequested)
            return new GrpcException(StatusCode.Cancelled, "The client gave up.", e);
        if (cancelled && call!.IsLate)
            return CallDeadline.Exceeded();
        if (settings.Faults?.Invoke(e, call!) is { } mapped)
            return mapped;
        LogUnexpected(settings.Log, method.Descriptor.FullName, e);
        return new GrpcException(StatusCode.Internal, "The server failed.", e);
    }

    private static void ReadEncoding(HttpContext http, MessageReader reader)
    {
        var header = http.Request.Headers.GrpcEncoding;
        if (header.Count == 0)
            return;

        http.Response.Headers.GrpcAcceptEncoding = Gzip.Accepted;
        if (header.Count == 1 && string.Equals(header[0], Gzip.Name, StringComparison.OrdinalIgnoreCase))
            reader.Gzipped = true;
        else if (header.Count != 1 || !string.Equals(header[0], "identity", StringComparison.OrdinalIgnoreCase))
            throw new GrpcException(StatusCode.Unimplemented, "The encoding in grpc-encoding is not known here.");
    }

    /// <summary>
    /// Messages have limits of their own, and the bytes of a stream have no end. A stream may also be silent for as long
    /// as it likes; where there is one request, Kestrel's minimum rate still guards against one that trickles.
    /// </summary>
    private void LiftByteLimits(HttpContext http)
    {
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
            size.MaxRequestBodySize = null;
        if (method.Descriptor.IsClientStreaming && http.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate)
            rate.MinDataRate = null;
    }

    private static void Tag(HttpContext http, StatusCode status) =>
        http.Features.Get<IHttpMetricsTagsFeature>()?.Tags
            .Add(new("rpc.grpc.status_code", ((int)status).ToString(CultureInfo.InvariantCulture)));

    [LoggerMessage(EventId = 8001, Level = LogLevel.Error, Message = "The gRPC method {Method} failed.")]
    private static partial void LogUnexpected(ILogger log, string method, Exception e);
}
