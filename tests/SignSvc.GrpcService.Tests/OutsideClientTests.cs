using System.Reflection;
using SignSvc.Grpc.Kubernetes;
using SignSvc.Grpc.Rpc;
using SignSvc.Grpc.V1;
using SignSvc.Tests.Shared.Grpc;

namespace SignSvc.GrpcService.Tests;

/// <summary>The whole API from libraries that are not ours.</summary>
public sealed class OutsideClientTests(GrpcServer server)
{
    internal static readonly string Folder = typeof(OutsideClientTests).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key is "TestFolder").Value!;

    internal static readonly OutsideClients Clients = new(
        Folder, Path.Combine(Folder, "..", "..", "src", "SignSvc.Grpc", "Protos"),
        SigningReflection.Descriptor, TokensReflection.Descriptor, KeysReflection.Descriptor, ErrorDetailsReflection.Descriptor, ApiReflection.Descriptor);

    [Fact]
    public Task The_whole_API_from_grpc_js() => Clients.NodeAsync("api.mjs", server.Target, server.Service.AdminToken);

    [Fact]
    public Task The_whole_API_from_Python() => Clients.PythonAsync("api.py", server.Target, server.Service.AdminToken);
}
