using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using SignSvc.Grpc.Reflection.V1;

namespace SignSvc.Grpc.Reflection;

/// <summary>Server reflection over the services of this host. v1alpha differs from v1 by its package alone: its bytes are the same.</summary>
internal static class ServerReflection
{
    public static IEndpointConventionBuilder Map(IEndpointRouteBuilder endpoints, MappedServices services)
    {
        // Built at the first question: services mapped after reflection are in it.
        var index = new Lazy<DescriptorIndex>(() => new DescriptorIndex(services.All));
        endpoints.MapGrpcService(
            V1Alpha.ReflectionReflection.Descriptor.Services[0],
            methods => methods.Duplex<V1Alpha.ServerReflectionRequest, V1Alpha.ServerReflectionResponse>(
                "ServerReflectionInfo",
                async (requests, responses, call) =>
                {
                    await foreach (var request in requests.WithCancellation(call.CancellationToken))
                    {
                        var answer = Answer(index.Value, ServerReflectionRequest.Parser.ParseFrom(request.ToByteString()));
                        await responses.WriteAsync(V1Alpha.ServerReflectionResponse.Parser.ParseFrom(answer.ToByteString()));
                    }
                }));
        return endpoints.MapGrpcService(
            ReflectionReflection.Descriptor.Services[0],
            methods => methods.Duplex<ServerReflectionRequest, ServerReflectionResponse>(
                "ServerReflectionInfo",
                async (requests, responses, call) =>
                {
                    await foreach (var request in requests.WithCancellation(call.CancellationToken))
                        await responses.WriteAsync(Answer(index.Value, request));
                }));
    }

    private static ServerReflectionResponse Answer(DescriptorIndex index, ServerReflectionRequest request)
    {
        var response = new ServerReflectionResponse { ValidHost = request.Host, OriginalRequest = request };
        switch (request.MessageRequestCase)
        {
            case ServerReflectionRequest.MessageRequestOneofCase.ListServices:
                response.ListServicesResponse = new ListServiceResponse();
                response.ListServicesResponse.Service.AddRange(index.Services.Select(s => new ServiceResponse { Name = s }));
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.FileByFilename:
                AnswerFiles(response, DescriptorIndex.WithImports(index.FileByName(request.FileByFilename)));
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.FileContainingSymbol:
                AnswerFiles(response, DescriptorIndex.WithImports(index.FileOf(request.FileContainingSymbol)));
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.AllExtensionNumbersOfType
                when index.HasMessage(request.AllExtensionNumbersOfType):
                // Our files are proto3 and extend nothing.
                response.AllExtensionNumbersResponse = new ExtensionNumberResponse { BaseTypeName = request.AllExtensionNumbersOfType };
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.None:
                response.ErrorResponse = Error(StatusCode.InvalidArgument, "The request asks nothing.");
                break;
            default:
                response.ErrorResponse = Error(StatusCode.NotFound, "There is no such symbol.");
                break;
        }

        return response;
    }

    private static void AnswerFiles(ServerReflectionResponse response, IReadOnlyList<ByteString> files)
    {
        if (files.Count == 0)
        {
            response.ErrorResponse = Error(StatusCode.NotFound, "There is no such file or symbol.");
            return;
        }

        response.FileDescriptorResponse = new FileDescriptorResponse();
        response.FileDescriptorResponse.FileDescriptorProto.AddRange(files);
    }

    private static ErrorResponse Error(StatusCode code, string message) =>
        new() { ErrorCode = (int)code, ErrorMessage = message };
}
