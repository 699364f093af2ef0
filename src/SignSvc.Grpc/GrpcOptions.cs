namespace SignSvc.Grpc;

/// <summary>Limits of every call, and where the host's own exceptions become statuses.</summary>
public sealed class GrpcOptions
{
    /// <summary>
    /// Largest request message in bytes, before and after decompression; a larger one ends with RESOURCE_EXHAUSTED
    /// before it is read. 4 MiB is what gRPC's libraries take. A parsed message can take some 30 times its size, so
    /// raise it for single services (<see cref="GrpcMethods.MaxRequestBytes"/>), not here.
    /// </summary>
    public int MaxRequestBytes { get; set; } = 4 * 1024 * 1024;

    /// <summary>Largest response message in bytes before compression. Clients refuse more than 4 MiB unless told otherwise.</summary>
    public int MaxResponseBytes { get; set; } = 4 * 1024 * 1024;

    /// <summary>
    /// Turns an exception of a handler into the status that the caller sees; null leaves it to the protocol: INTERNAL
    /// without a reason, and the exception in the log. Not asked about <see cref="GrpcException"/>, nor about a
    /// cancellation after the deadline.
    /// </summary>
    public Func<Exception, GrpcCall, GrpcException?>? Faults { get; set; }
}
