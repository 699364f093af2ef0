using System.Diagnostics;

namespace SignSvc.Operations.Tests;

/// <summary>The stand-in for AWS KMS as a process, on a port that the system chose.</summary>
internal sealed class EmulatedKms : IAsyncDisposable
{
    private readonly Process _process;

    private EmulatedKms(Process process, string url)
    {
        _process = process;
        Url = url;
    }

    public string Url { get; }

    /// <summary>Settings of a service that has it as its backend <c>aws-kms</c>.</summary>
    public Dictionary<string, string> Environment => new(StringComparer.Ordinal)
    {
        ["SignSvc__Backends__AwsKms__default__Region"] = "eu-central-1",
        ["SignSvc__Backends__AwsKms__default__Installation"] = "test",
        ["SignSvc__Backends__AwsKms__default__ServiceUrl"] = Url,
        ["SignSvc__Backends__AwsKms__default__QuotaPerSecond__MANAGEMENT"] = "100",
        ["AWS_ACCESS_KEY_ID"] = "111111111111",
        ["AWS_SECRET_ACCESS_KEY"] = "any",
        ["AWS_EC2_METADATA_DISABLED"] = "true",
    };

    public static async Task<EmulatedKms> StartAsync()
    {
        var process = Process.Start(new ProcessStartInfo("dotnet", [Outside.KmsEmulator, "--url", "http://127.0.0.1:0"])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
        })!;
        while (await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken) is { } line)
        {
            if (line.IndexOf("http://127.0.0.1:", StringComparison.Ordinal) is >= 0 and var at)
            {
                // Nobody reads on: what it has to say fits into the pipe.
                return new EmulatedKms(process, line[at..].Split(' ')[0].TrimEnd('/', '.'));
            }
        }

        throw new InvalidOperationException("The stand-in for AWS KMS ended instead of serving.");
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }
}
