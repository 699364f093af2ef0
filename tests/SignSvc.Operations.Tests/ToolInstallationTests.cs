namespace SignSvc.Operations.Tests;

/// <summary><c>tests/install-tools.sh</c> on a machine that has less than this one.</summary>
public sealed class ToolInstallationTests
{
    /// <summary>Stand-ins for what asks and changes the system: everything but python3-venv is there, and apt installs nothing.</summary>
    private static readonly (string Program, string Body)[] StandIns =
    [
        ("dpkg-query", "shift 3; for package; do [[ $package == python3-venv ]] || echo \"$package ii \"; done"),
        ("apt-get", "exit 0"),
        ("apt-cache", "exit 0"),
        ("sudo", "exec \"$@\""),
        ("node", "echo v99.0.0"),
        ("npm", "exit 0"),
    ];

    [Fact]
    public async Task What_moto_s_environment_is_made_with_is_installed_where_there_is_no_moto()
    {
        var folder = Directory.CreateTempSubdirectory("signsvc-tools-").FullName;
        try
        {
            foreach (var (program, body) in StandIns)
            {
                var file = Path.Combine(folder, program);
                await File.WriteAllTextAsync(file, $"#!/usr/bin/env bash\n{body}\n", TestContext.Current.CancellationToken);
                File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserExecute);
            }

            var run = await Outside.RunAsync("apt-get install -y bash", "bash", [Outside.File("tests", "install-tools.sh")], new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["PATH"] = $"{folder}:/usr/bin:/bin",
                ["SIGNSVC_TOOLS"] = Path.Combine(folder, "tools"),
                ["XDG_CACHE_HOME"] = Path.Combine(folder, "cache"),
            });

            Assert.Contains("Installing from Debian: python3-venv\n", run.Output, StringComparison.Ordinal);
            // The stand-in installs nothing, so that it goes no further.
            Assert.Contains("still missing after apt-get install: python3-venv", run.Error, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
