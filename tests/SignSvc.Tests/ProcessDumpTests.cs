using System.Diagnostics;

namespace SignSvc.Tests;

/// <summary>What is in memory stays there (promise 22), unless a setting lets it out.</summary>
public sealed class ProcessDumpTests
{
    /// <summary>Root may do anything to any process; whoever else is meant here is nobody.</summary>
    private const int Nobody = 65534;

    [Fact]
    public async Task A_process_leaves_no_core_file_and_its_own_user_cannot_look_into_it()
    {
        await using var service = await ServiceProcess.StartAsync();
        Assert.Equal("0 0", CoreLimit(service.ProcessId));
        Assert.False(await MayBeLookedIntoAsync(allow: false));
    }

    [Fact]
    public async Task A_setting_lets_debuggers_in()
    {
        var allow = new Dictionary<string, string>(StringComparer.Ordinal) { ["SignSvc__AllowProcessDumps"] = "true" };
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions { Environment = allow });
        Assert.Equal(CoreLimit(Environment.ProcessId), CoreLimit(service.ProcessId));
        Assert.True(await MayBeLookedIntoAsync(allow: true));
    }

    /// <summary>Starts the service as an ordinary user and, as the same user, reads what ptrace(2) guards: /proc/PID/auxv.</summary>
    private static async Task<bool> MayBeLookedIntoAsync(bool allow)
    {
        var folder = Directory.CreateTempSubdirectory("signsvc-dumps-").FullName;
        var dll = Path.Combine(AppContext.BaseDirectory.Replace($"{Path.DirectorySeparatorChar}tests{Path.DirectorySeparatorChar}SignSvc.Tests", $"{Path.DirectorySeparatorChar}src{Path.DirectorySeparatorChar}SignSvc", StringComparison.Ordinal), "SignSvc.dll");
        // A shell that waits for the greeting and then looks, so that both are of one user.
        const string look = """
            cd "$1"; dotnet "$2" > out 2>&1 & service=$!
            for i in $(seq 600); do grep -q 'SignSvc serves' out && break; sleep 0.1; done
            grep -q 'SignSvc serves' out || { cat out; kill $service; exit 3; }
            head -c 1 "/proc/$service/auxv" > /dev/null 2>&1; seen=$?
            kill $service; wait $service 2> /dev/null; exit $((seen == 0 ? 10 : 11))
            """;
        try
        {
            var start = new ProcessStartInfo("setpriv")
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                Environment =
                {
                    ["SIGNSVC_DATA"] = Path.Combine(folder, "data"), ["ASPNETCORE_URLS"] = "http://127.0.0.1:0", ["SignSvc__Grpc__Url"] = "",
                    ["SignSvc__AllowProcessDumps"] = allow ? "true" : "false", ["HOME"] = folder, ["TMPDIR"] = folder, ["DOTNET_CLI_HOME"] = folder,
                },
            };
            if (Environment.IsPrivilegedProcess)
            {
                File.SetUnixFileMode(folder, (UnixFileMode)Convert.ToInt32("777", 8));
                foreach (var argument in (string[])[$"--reuid={Nobody}", $"--regid={Nobody}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"])
                    start.ArgumentList.Add(argument);
            }

            foreach (var argument in (string[])["bash", "-c", look, "look", folder, dll])
                start.ArgumentList.Add(argument);
            using var process = Process.Start(start)!;
            var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            return process.ExitCode switch
            {
                10 => true,
                11 => false,
                _ => throw new InvalidOperationException($"The service did not run as an ordinary user ({process.ExitCode}): {output} {await process.StandardError.ReadToEndAsync(CancellationToken.None)}"),
            };
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static string CoreLimit(int processId) => string.Join(
        ' ', File.ReadLines($"/proc/{processId}/limits").Single(l => l.StartsWith("Max core file size", StringComparison.Ordinal))
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[4..6]);
}
