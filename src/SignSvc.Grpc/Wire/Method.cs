using System.Runtime.CompilerServices;
using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace SignSvc.Grpc.Wire;

/// <summary>A method of a service with its handler; the four kinds below differ in how requests and answers are counted.</summary>
internal abstract class Method(MethodDescriptor descriptor)
{
    public MethodDescriptor Descriptor { get; } = descriptor;

    public abstract ValueTask InvokeAsync(GrpcCall call);

    protected MessageParser<T> ParserOf<T>() where T : class, IMessage<T> => (MessageParser<T>)Descriptor.InputType.Parser;

    protected static async IAsyncEnumerable<T> ReadAllAsync<T>(
        GrpcCall call, MessageParser<T> parser, [EnumeratorCancellation] CancellationToken cancellation = default)
        where T : class, IMessage<T>
    {
        using var linked = cancellation.CanBeCanceled && cancellation != call.CancellationToken
            ? CancellationTokenSource.CreateLinkedTokenSource(cancellation, call.DeadlineToken)
            : null;
        var token = linked?.Token ?? call.DeadlineToken;
        while (await call.Reader.ReadAsync(parser, token) is { } request)
            yield return request;
    }
}

internal sealed class UnaryMethod<TRequest, TResponse>(MethodDescriptor descriptor, UnaryHandler<TRequest, TResponse> handler)
    : Method(descriptor)
    where TRequest : class, IMessage<TRequest>
    where TResponse : class, IMessage<TResponse>
{
    private MessageParser<TRequest> Parser => field ??= ParserOf<TRequest>();

    public override async ValueTask InvokeAsync(GrpcCall call)
    {
        var request = await call.Reader.ReadSingleAsync(Parser);
        var response = await handler(request, call);
        call.RefuseIfLate();
        call.Writer.Write(response);
    }
}

internal sealed class ServerStreamingMethod<TRequest, TResponse>(
    MethodDescriptor descriptor, ServerStreamingHandler<TRequest, TResponse> handler)
    : Method(descriptor)
    where TRequest : class, IMessage<TRequest>
    where TResponse : class, IMessage<TResponse>
{
    private MessageParser<TRequest> Parser => field ??= ParserOf<TRequest>();

    public override async ValueTask InvokeAsync(GrpcCall call)
    {
        var request = await call.Reader.ReadSingleAsync(Parser);
        await handler(request, new ResponseWriter<TResponse>(call.Writer), call);
        call.RefuseIfLate();
    }
}

internal sealed class ClientStreamingMethod<TRequest, TResponse>(
    MethodDescriptor descriptor, ClientStreamingHandler<TRequest, TResponse> handler)
    : Method(descriptor)
    where TRequest : class, IMessage<TRequest>
    where TResponse : class, IMessage<TResponse>
{
    private MessageParser<TRequest> Parser => field ??= ParserOf<TRequest>();

    public override async ValueTask InvokeAsync(GrpcCall call)
    {
        var response = await handler(ReadAllAsync(call, Parser), call);
        call.RefuseIfLate();
        call.Writer.Write(response);
    }
}

internal sealed class DuplexMethod<TRequest, TResponse>(MethodDescriptor descriptor, DuplexHandler<TRequest, TResponse> handler)
    : Method(descriptor)
    where TRequest : class, IMessage<TRequest>
    where TResponse : class, IMessage<TResponse>
{
    private MessageParser<TRequest> Parser => field ??= ParserOf<TRequest>();

    public override async ValueTask InvokeAsync(GrpcCall call)
    {
        await handler(ReadAllAsync(call, Parser), new ResponseWriter<TResponse>(call.Writer), call);
        call.RefuseIfLate();
    }
}
