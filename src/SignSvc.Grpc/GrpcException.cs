using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;

namespace SignSvc.Grpc;

/// <summary>Ends a call with a status. All of it is shown to the caller.</summary>
public sealed class GrpcException : Exception
{
    private ResponseMetadata? _trailers;

    public GrpcException(StatusCode status, string message, Exception? inner = null) : base(message, inner)
    {
        ArgumentOutOfRangeException.ThrowIfEqual((int)status, (int)StatusCode.Ok, nameof(status));
        Status = status;
    }

    public StatusCode Status { get; }

    /// <summary>
    /// Sent in <c>grpc-status-details-bin</c>: <see cref="Rpc.ErrorInfo"/>, <see cref="Rpc.RetryInfo"/>,
    /// <see cref="Rpc.BadRequest"/>. Left out when they are larger than clients take in a header (6 KiB).
    /// </summary>
    public IReadOnlyList<IMessage> Details { get; init; } = [];

    /// <summary>Sent after those of <see cref="GrpcCall.Trailers"/>.</summary>
    public ResponseMetadata Trailers => _trailers ??= new ResponseMetadata();

    /// <summary>The same as a message: what stands in <c>grpc-status-details-bin</c>, or for one item of a batch that failed alone.</summary>
    public Rpc.Status ToStatus()
    {
        var status = new Rpc.Status { Code = (int)Status, Message = Message };
        foreach (var detail in Details)
            status.Details.Add(Any.Pack(detail));
        return status;
    }

    internal ResponseMetadata? TrailersOrNull => _trailers;
}
