using Google.Protobuf;

namespace SignSvc.Grpc;

/// <summary>One request, one answer.</summary>
public delegate ValueTask<TResponse> UnaryHandler<TRequest, TResponse>(TRequest request, GrpcCall call)
    where TRequest : class, IMessage<TRequest>
    where TResponse : class, IMessage<TResponse>;

/// <summary>One request, any number of answers; the call ends when the handler returns.</summary>
public delegate ValueTask ServerStreamingHandler<TRequest, TResponse>(
    TRequest request, ResponseWriter<TResponse> responses, GrpcCall call)
    where TRequest : class, IMessage<TRequest>
    where TResponse : class, IMessage<TResponse>;

/// <summary>
/// Any number of requests, one answer. The requests can be read once; each is parsed when it is asked for, so that a
/// handler that reads slowly holds the client back.
/// </summary>
public delegate ValueTask<TResponse> ClientStreamingHandler<TRequest, TResponse>(
    IAsyncEnumerable<TRequest> requests, GrpcCall call)
    where TRequest : class, IMessage<TRequest>
    where TResponse : class, IMessage<TResponse>;

/// <summary>Requests and answers, each at its own pace. When the server stops, reading ends with UNAVAILABLE.</summary>
public delegate ValueTask DuplexHandler<TRequest, TResponse>(
    IAsyncEnumerable<TRequest> requests, ResponseWriter<TResponse> responses, GrpcCall call)
    where TRequest : class, IMessage<TRequest>
    where TResponse : class, IMessage<TResponse>;
