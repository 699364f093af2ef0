using System.Diagnostics;

namespace SignSvc.Operations.Tests;

public sealed record Ended(int ExitCode, string Output, string Error)
{
    public override string ToString() => $"exit code {ExitCode}\n{Output}\n{Error}";
}

/// <summary>Programs that tests run, and where the repository has its files.</summary>
internal static class Outside
{
    private static readonly DirectoryInfo Framework = new(AppContext.BaseDirectory.TrimEnd('/'));

    public static string Root => Framework.Parent!.Parent!.Parent!.Parent!.Parent!.FullName;

    public static string Cli => Built("SignSvc.Cli", "signsvc.dll");

    public static string Service => Built("SignSvc", "SignSvc.dll");

    public static string KmsEmulator => File("tests", "SignSvc.KmsEmulator", "bin", Framework.Parent!.Name, Framework.Name, "SignSvc.KmsEmulator.dll");

    public static string File(params string[] parts) => Path.Combine([Root, .. parts]);

    /// <param name="install">The command that installs a missing program.</param>
    public static async Task<Ended> RunAsync(
        string install, string program, IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string>? environment = null, string? folder = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = folder ?? Root,
        };
        foreach (var name in start.Environment.Keys.Where(n => n.StartsWith("SIGNSVC", StringComparison.OrdinalIgnoreCase)).ToArray())
            start.Environment.Remove(name);
        foreach (var (name, value) in environment ?? new Dictionary<string, string>(StringComparer.Ordinal))
            start.Environment[name] = value;
        try
        {
            using var process = Process.Start(start)!;
            process.StandardInput.Close();
            var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            return new Ended(process.ExitCode, await output, await error);
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new InvalidOperationException($"{program} is missing: {install}", e);
        }
    }

    private static string Built(string project, string file)
    {
        var path = File("src", project, "bin", Framework.Parent!.Name, Framework.Name, file);
        return System.IO.File.Exists(path) ? path : throw new FileNotFoundException($"It is not built: dotnet build src/{project} -c {Framework.Parent!.Name}", path);
    }
}
