using System.ComponentModel;
using System.Diagnostics;
using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace SignSvc.Tests.Shared.Grpc;

/// <summary>
/// Runs a test folder's scripts on unmodified gRPC libraries; one that fails, fails with what it printed. Scripts for node
/// get the folder of the protos first, scripts for Python a file of their descriptors: Debian's has no protoc.
/// </summary>
/// <param name="folder">Holds <c>node/</c> and <c>python/</c>.</param>
/// <param name="protos">What the scripts for node load from.</param>
/// <param name="messages">What the scripts for Python know, with all that it imports.</param>
internal sealed class OutsideClients(string folder, string protos, params FileDescriptor[] messages)
{
    public const string Python = "/usr/bin/python3";

    private const string Install = "apt-get install -y nodejs npm python3 util-linux";
    private const string InstallPython = "apt-get install -y python3-grpcio python3-protobuf";

    /// <summary>Reached only where something hangs.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(4);

    private readonly Lazy<Task<string>> _nodeModules = new(() => InstallNodeModulesAsync(Path.Combine(folder, "node")));
    private readonly Lazy<Task<string>> _descriptors = new(() => WriteDescriptorsAsync(messages));

    /// <returns>What it printed.</returns>
    public async Task<string> NodeAsync(string script, params string[] arguments)
    {
        await NodeModulesAsync();
        return await RunAsync("node", [Path.Combine(folder, "node", script), protos, .. arguments]);
    }

    /// <returns>What it printed.</returns>
    public async Task<string> PythonAsync(string script, params string[] arguments) =>
        await RunAsync(Python, await PythonCommandAsync(script, arguments));

    /// <summary>Starts a script that talks while it runs; its lines are read from its standard output.</summary>
    public async Task<Process> StartPythonAsync(string script, params string[] arguments) =>
        Start(Python, await PythonCommandAsync(script, arguments));

    /// <summary>The folder of what npm has installed, as the lock file has it.</summary>
    public Task<string> NodeModulesAsync() => _nodeModules.Value;

    /// <returns>What it printed.</returns>
    public static async Task<string> RunAsync(string program, string[] arguments)
    {
        using var process = Start(program, arguments);
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        using var patience = new CancellationTokenSource(Patience);
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None);
        }

        Assert.True(
            process.ExitCode == 0,
            $"{program} {string.Join(' ', arguments.Take(2))} ended with {process.ExitCode}.\n{await output}\n{await errors}");
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
            throw new InvalidOperationException($"{program} is missing: {Install}", e);
        }
    }

    private async Task<string[]> PythonCommandAsync(string script, string[] arguments) =>
        [Path.Combine(folder, "python", script), await _descriptors.Value, .. arguments];

    private static async Task<string> InstallNodeModulesAsync(string node)
    {
        var modules = Path.Combine(node, "node_modules");
        if (File.GetLastWriteTimeUtc(Path.Combine(modules, ".package-lock.json")) < File.GetLastWriteTimeUtc(Path.Combine(node, "package-lock.json")))
            await RunAsync("npm", ["ci", "--prefix", node]);
        return modules;
    }

    private static async Task<string> WriteDescriptorsAsync(FileDescriptor[] messages)
    {
        try
        {
            await RunAsync(Python, ["-c", "import grpc, google.protobuf"]);
        }
        catch (Xunit.Sdk.XunitException e)
        {
            throw new InvalidOperationException($"These tests need: {InstallPython}", e);
        }

        var files = new FileDescriptorSet();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var file in messages)
            Add(file);
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
}
