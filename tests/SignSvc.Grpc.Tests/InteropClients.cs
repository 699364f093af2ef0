using System.Diagnostics;
using System.Reflection;
using SignSvc.Grpc.Health;
using SignSvc.Grpc.Rpc;
using SignSvc.Grpc.Tests.Interop;
using SignSvc.Tests.Shared.Grpc;

namespace SignSvc.Grpc.Tests;

/// <summary>gRPC's own interoperability cases on foreign libraries.</summary>
internal static class InteropClients
{
    public static readonly string Folder = typeof(InteropClients).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key is "TestFolder").Value!;

    public static readonly OutsideClients Clients = new(
        Folder, Path.Combine(Folder, "Protos"),
        TestReflection.Descriptor, HealthReflection.Descriptor, StatusReflection.Descriptor, ErrorDetailsReflection.Descriptor);

    public static Task NodeAsync(string target, string name) => Clients.NodeAsync("interop.mjs", target, name);

    public static Task PythonAsync(string target, string name) => Clients.PythonAsync("interop.py", target, name);

    /// <summary>Starts a case that talks while it runs.</summary>
    public static Task<Process> StartPythonAsync(GrpcServer server, string name) => Clients.StartPythonAsync("interop.py", server.Target, name);
}
