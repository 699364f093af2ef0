using Google.Protobuf;
using Google.Protobuf.Reflection;
using SignSvc.Grpc.Wire;

namespace SignSvc.Grpc;

/// <summary>
/// The handlers of one service. Names and kinds are checked against the service's descriptor when they are registered;
/// methods without a handler answer UNIMPLEMENTED.
/// </summary>
public sealed class GrpcMethods
{
    private readonly ServiceDescriptor _service;
    private readonly Dictionary<string, Method> _methods = new(StringComparer.Ordinal);

    internal GrpcMethods(ServiceDescriptor service, GrpcOptions options)
    {
        _service = service;
        MaxRequestBytes = options.MaxRequestBytes;
        MaxResponseBytes = options.MaxResponseBytes;
    }

    /// <summary>Largest request message of this service in bytes; the host's general limit unless changed.</summary>
    public int MaxRequestBytes
    {
        get;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(value);
            field = value;
        }
    }

    /// <summary>Largest response message of this service in bytes; the host's general limit unless changed.</summary>
    public int MaxResponseBytes
    {
        get;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(value);
            field = value;
        }
    }

    public GrpcMethods Unary<TRequest, TResponse>(string name, UnaryHandler<TRequest, TResponse> handler)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse> =>
        Add(new UnaryMethod<TRequest, TResponse>(
            Find<TRequest, TResponse>(name, clientStreams: false, serverStreams: false), handler));

    public GrpcMethods ServerStreaming<TRequest, TResponse>(string name, ServerStreamingHandler<TRequest, TResponse> handler)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse> =>
        Add(new ServerStreamingMethod<TRequest, TResponse>(
            Find<TRequest, TResponse>(name, clientStreams: false, serverStreams: true), handler));

    public GrpcMethods ClientStreaming<TRequest, TResponse>(string name, ClientStreamingHandler<TRequest, TResponse> handler)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse> =>
        Add(new ClientStreamingMethod<TRequest, TResponse>(
            Find<TRequest, TResponse>(name, clientStreams: true, serverStreams: false), handler));

    public GrpcMethods Duplex<TRequest, TResponse>(string name, DuplexHandler<TRequest, TResponse> handler)
        where TRequest : class, IMessage<TRequest>
        where TResponse : class, IMessage<TResponse> =>
        Add(new DuplexMethod<TRequest, TResponse>(
            Find<TRequest, TResponse>(name, clientStreams: true, serverStreams: true), handler));

    internal IEnumerable<Method> All => _methods.Values;

    private GrpcMethods Add(Method method)
    {
        if (!_methods.TryAdd(method.Descriptor.Name, method))
            throw new ArgumentException($"{method.Descriptor.FullName} has two handlers.", nameof(method));
        return this;
    }

    private MethodDescriptor Find<TRequest, TResponse>(string name, bool clientStreams, bool serverStreams)
    {
        var method = _service.FindMethodByName(name)
            ?? throw new ArgumentException($"{_service.FullName} has no method '{name}'.", nameof(name));
        if (method.IsClientStreaming != clientStreams || method.IsServerStreaming != serverStreams)
            throw new ArgumentException($"{method.FullName} streams otherwise than its handler.", nameof(name));
        if (method.InputType.ClrType != typeof(TRequest) || method.OutputType.ClrType != typeof(TResponse))
        {
            throw new ArgumentException(
                $"{method.FullName} takes {method.InputType.FullName} and answers {method.OutputType.FullName}.", nameof(name));
        }

        return method;
    }
}
