using System.Diagnostics;
using System.Text.Json;

namespace SignSvc.Operations.Tests;

/// <summary>The stand-in for AWS KMS as a process, on a port that the system chose.</summary>
internal sealed class EmulatedKms : IAsyncDisposable
{
    private const string Region = "eu-central-1";

    private readonly HttpClient _control = new(new SocketsHttpHandler { UseProxy = false });
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
        ["SignSvc__Backends__AwsKms__default__Region"] = Region,
        ["SignSvc__Backends__AwsKms__default__Installation"] = "test",
        ["SignSvc__Backends__AwsKms__default__ServiceUrl"] = Url,
        ["SignSvc__Backends__AwsKms__default__QuotaPerSecond__MANAGEMENT"] = "100",
        ["AWS_ACCESS_KEY_ID"] = "111111111111",
        ["AWS_SECRET_ACCESS_KEY"] = "any",
        ["AWS_EC2_METADATA_DISABLED"] = "true",
    };

    public static async Task<EmulatedKms> StartAsync()
    {
        var process = Process.Start(new ProcessStartInfo("dotnet", [Outside.KmsEmulator, "--url", "http://127.0.0.1:0", "--control"])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
        })!;
        while (await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken) is { } line)
        {
            if (line.IndexOf("http://127.0.0.1:", StringComparison.Ordinal) is >= 0 and var at)
            {
                // Read on, so that it never blocks on a full pipe.
                _ = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
                return new EmulatedKms(process, line[at..].Split(' ')[0].TrimEnd('/', '.'));
            }
        }

        throw new InvalidOperationException("The stand-in for AWS KMS ended instead of serving.");
    }

    /// <summary>Tells it how to behave; what there is stands in its README.</summary>
    public async Task ControlAsync(HttpMethod method, string path, string json = "")
    {
        var answer = await _control.CallAsync(method, $"{Url}/_emulator/{path}", json);
        Assert.True(answer.Code is 200 or 204, answer.ToString());
    }

    /// <summary>As somebody who has the account's credentials: <c>kms disable-key …</c>.</summary>
    public async Task<JsonElement> AwsAsync(params string[] arguments)
    {
        var ended = await Outside.RunAsync("apt-get install -y awscli", "aws", ["--endpoint-url", Url, "--region", Region, "--output", "json", .. arguments], Environment);
        Assert.True(ended.ExitCode == 0, ended.ToString());
        return ended.Output.Length == 0 ? default : JsonSerializer.Deserialize<JsonElement>(ended.Output);
    }

    public async ValueTask DisposeAsync()
    {
        _control.Dispose();
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }
}
