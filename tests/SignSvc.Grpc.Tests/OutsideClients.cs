using System.ComponentModel;
using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using SignSvc.Grpc.Health;
using SignSvc.Grpc.Rpc;
using SignSvc.Grpc.Tests.Interop;

namespace SignSvc.Grpc.Tests;

/// <summary>Runs cases on unmodified gRPC libraries; a case that fails fails with what its client printed.</summary>
internal static class OutsideClients
{
    private const string Python = "/usr/bin/python3";

    private static readonly string Folder = typeof(OutsideClients).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key is "TestFolder").Value!;

    private static readonly Lazy<Task> NodePackages = new(InstallNodePackages);
    private static readonly Lazy<Task<string>> PythonReady = new(PreparePython);

    public static async Task NodeAsync(string target, string name)
    {
        await NodePackages.Value;
        await RunAsync("node", [Path.Combine(Folder, "node", "interop.mjs"), target, Path.Combine(Folder, "Protos"), name]);
    }

    public static async Task PythonAsync(string target, string name) =>
        await RunAsync(Python, [Path.Combine(Folder, "python", "interop.py"), target, await PythonReady.Value, name]);

    /// <summary>The protocol buffers tool, on the folder of the protos that SignSvc publishes.</summary>
    public static async Task BufAsync(string command, params string[] arguments)
    {
        await NodePackages.Value;
        var protos = Path.Combine(Folder, "..", "..", "src", "SignSvc.Grpc", "Protos");
        var package = RuntimeInformation.OSArchitecture == Architecture.Arm64 ? "buf-linux-aarch64" : "buf-linux-x64";
        var buf = Path.Combine(Folder, "node", "node_modules", "@bufbuild", package, "bin", "buf");
        await RunAsync(buf, [command, protos, .. arguments]);
    }

    /// <summary>What has been published: made by <c>buf build --exclude-source-info -o published.binpb</c> at a release.</summary>
    public static string PublishedProtos => Path.Combine(Folder, "published.binpb");

    /// <summary>Starts a case that talks while it runs; its lines are read from its standard output.</summary>
    public static async Task<Process> StartPythonAsync(GrpcServer server, string name) =>
        Start(Python, [Path.Combine(Folder, "python", "interop.py"), server.Target, await PythonReady.Value, name]);

    private static async Task InstallNodePackages()
    {
        var folder = Path.Combine(Folder, "node");
        var installed = Path.Combine(folder, "node_modules", ".package-lock.json");
        if (File.GetLastWriteTimeUtc(installed) < File.GetLastWriteTimeUtc(Path.Combine(folder, "package-lock.json")))
            await RunAsync("npm", ["ci", "--prefix", folder]);
    }

    /// <summary>The descriptors that the client builds its messages from, as a file.</summary>
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
        Add(TestReflection.Descriptor);
        Add(HealthReflection.Descriptor);
        Add(StatusReflection.Descriptor);
        Add(ErrorDetailsReflection.Descriptor);
        var path = Path.Combine(Path.GetTempPath(), $"signsvc-grpc-tests-{Environment.ProcessId}.binpb");
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

    private static async Task RunAsync(string program, string[] arguments)
    {
        using var process = Start(program, arguments);
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
        }

        Assert.True(process.ExitCode == 0, $"{program} {arguments[^1]} ended with {process.ExitCode}.\n{await output}\n{await errors}");
    }

    private static Process Start(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["no_proxy"] = "*";
        try
        {
            return Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start.");
        }
        catch (Win32Exception e)
        {
            throw new InvalidOperationException($"{program} is missing: apt-get install -y nodejs npm python3", e);
        }
    }
}
