using System.Diagnostics;
using System.Globalization;

namespace SignSvc.Lifecycle.Tests;

/// <summary>The unmodified npm package jose with its <c>createRemoteJWKSet</c>, in a process of its own.</summary>
internal sealed class JoseVerifier : IAsyncDisposable
{
    private readonly Process _process;
    private readonly SemaphoreSlim _turn = new(1, 1);

    private JoseVerifier(Process process) => _process = process;

    /// <param name="refresh">Its <c>cacheMaxAge</c> (10 minutes by default) and its <c>cooldownDuration</c> (30 seconds).</param>
    public static JoseVerifier Start(Uri keySet, TimeSpan refresh)
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "SignSvc.sln")))
            root = root.Parent;
        var clients = Path.Combine(root!.FullName, "tests", "SignSvc.Clients.Tests", "node");
        var tools = Environment.GetEnvironmentVariable("SIGNSVC_TOOLS") is { Length: > 0 } named ? named : Path.Combine(root.FullName, ".tools");
        var node = Path.Combine(tools, "bin", "node");
        if (!File.Exists(node) || !Directory.Exists(Path.Combine(clients, "node_modules", "jose")))
            throw new FileNotFoundException("node or jose is missing: run tests/install-tools.sh");
        var milliseconds = refresh.TotalMilliseconds.ToString(CultureInfo.InvariantCulture);
        return new JoseVerifier(Process.Start(new ProcessStartInfo(node, [Path.Combine(clients, "verify-cached.mjs"), keySet.ToString(), milliseconds, milliseconds])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!);
    }

    /// <returns>Null: the token is good; else why it is not.</returns>
    public async Task<string?> VerifyAsync(string token) => await AskAsync(token) is var verdict and not "ok" ? verdict : null;

    public async Task<int> ReadsAsync() => int.Parse(await AskAsync("?"), CultureInfo.InvariantCulture);

    public async ValueTask DisposeAsync()
    {
        _process.StandardInput.Close();
        await _process.WaitForExitAsync();
        _process.Dispose();
        _turn.Dispose();
    }

    private async Task<string> AskAsync(string line)
    {
        await _turn.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            await _process.StandardInput.WriteLineAsync(line);
            return await _process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken)
                ?? throw new InvalidOperationException("node ended; its errors are in the output of the test run.");
        }
        finally
        {
            _turn.Release();
        }
    }
}
