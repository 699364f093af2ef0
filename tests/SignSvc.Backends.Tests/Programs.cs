using System.Diagnostics;

namespace SignSvc.Backends.Tests;

/// <summary>Outside programs that tests need. A missing one fails with the command that installs it.</summary>
internal static class Programs
{
    public static async Task<string> RunAsync(string install, string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in Environments)
            start.Environment[name] = value;
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Fail($"{program} is missing: {install}");
            throw;
        }

        using (process)
        {
            var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {await output}{await errors}");
            return await output;
        }
    }

    public static string RequireFile(string install, params string[] candidates)
    {
        var found = Array.Find(candidates, File.Exists);
        Assert.True(found is not null, $"{candidates[0]} is missing: {install}");
        return found;
    }

    /// <summary>What programs are started with beside this process's environment.</summary>
    public static Dictionary<string, string> Environments { get; } = new(StringComparer.Ordinal);
}
