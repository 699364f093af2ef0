using System.ComponentModel;
using System.Diagnostics;
using System.Reflection;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using SignSvc.Grpc.Kubernetes;
using SignSvc.Grpc.Rpc;
using SignSvc.Grpc.V1;

namespace SignSvc.GrpcService.Tests;

/// <summary>Runs scripts on unmodified gRPC libraries; one that fails, fails with what it printed.</summary>
internal static class OutsideClients
{
    public const string Python = "/usr/bin/python3";

    public static readonly string Folder = typeof(OutsideClients).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key is "TestFolder").Value!;

    private static readonly Lazy<Task> NodePackages = new(InstallNodePackages);
    private static readonly Lazy<Task<string>> PythonReady = new(PreparePython);

    private static string Protos => Path.Combine(Folder, "..", "..", "src", "SignSvc.Grpc", "Protos");

    public static async Task<string> NodeAsync(string script, params string[] arguments)
    {
        await NodePackages.Value;
        return await RunAsync("node", [Path.Combine(Folder, "node", script), Protos, .. arguments]);
    }

    public static async Task<string> PythonAsync(string script, params string[] arguments) =>
        await RunAsync(Python, [Path.Combine(Folder, "python", script), await PythonReady.Value, .. arguments]);

    /// <returns>What it printed.</returns>
    public static async Task<string> RunAsync(string program, string[] arguments)
    {
        using var process = Start(program, arguments);
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(4));
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
        }

        Assert.True(process.ExitCode == 0, $"{program} {arguments[0]} ended with {process.ExitCode}.\n{await output}\n{await errors}");
        return await output;
    }

    private static Process Start(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["no_proxy"] = "*";
        try
        {
            return Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start.");
        }
        catch (Win32Exception e)
        {
            throw new InvalidOperationException($"{program} is missing: apt-get install -y nodejs npm python3 util-linux", e);
        }
    }

    private static async Task InstallNodePackages()
    {
        var folder = Path.Combine(Folder, "node");
        var installed = Path.Combine(folder, "node_modules", ".package-lock.json");
        if (File.GetLastWriteTimeUtc(installed) < File.GetLastWriteTimeUtc(Path.Combine(folder, "package-lock.json")))
            await RunAsync("npm", ["ci", "--prefix", folder]);
    }

    /// <summary>The descriptors that the scripts build their messages from, as a file.</summary>
    private static async Task<string> PreparePython()
    {
        try
        {
            await RunAsync(Python, ["-c", "import grpc, google.protobuf"]);
        }
        catch (Exception e)
        {
            throw new InvalidOperationException("These tests need: apt-get install -y python3-grpcio python3-protobuf", e);
        }

        var files = new FileDescriptorSet();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var file in new[] { SigningReflection.Descriptor, TokensReflection.Descriptor, KeysReflection.Descriptor, ErrorDetailsReflection.Descriptor, ApiReflection.Descriptor })
            Add(file);
        var path = Path.Combine(Path.GetTempPath(), $"signsvc-grpc-service-tests-{Environment.ProcessId}.binpb");
        await File.WriteAllBytesAsync(path, files.ToByteArray());
        AppDomain.CurrentDomain.ProcessExit += (_, _) => File.Delete(path);
        return path;

        void Add(FileDescriptor file)
        {
            if (!seen.Add(file.Name))
                return;
            foreach (var import in file.Dependencies)
                Add(import);
            files.File.Add(FileDescriptorProto.Parser.ParseFrom(file.SerializedData));
        }
    }
}

/// <summary>The whole API from libraries that are not ours.</summary>
public sealed class OutsideClientTests(GrpcServer server)
{
    [Fact]
    public Task The_whole_API_from_grpc_js() => OutsideClients.NodeAsync("api.mjs", server.Target, server.Service.AdminToken);

    [Fact]
    public Task The_whole_API_from_Python() => OutsideClients.PythonAsync("api.py", server.Target, server.Service.AdminToken);
}
