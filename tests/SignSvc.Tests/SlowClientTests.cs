using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace SignSvc.Tests;

/// <summary>Clients that hold on to connections: a thousand of them cost the others nothing, and are let go.</summary>
public sealed partial class SlowClientTests
{
    private const int SlowConnections = 1000;
    private const int Callers = 8;

    /// <summary>Promise 28.</summary>
    [Theory]
    [InlineData("headers that never end", "-H -t GET -i 5", "/healthz/live")]
    [InlineData("a body that trickles", "-B -t POST -f application/x-www-form-urlencoded -s 8192 -x 10 -i 5", "/oauth2/token")]
    [InlineData("an answer that is hardly read", "-X -w 10 -y 20 -n 5 -z 16 -k 3", "/openapi/v1.json")]
    public async Task A_thousand_slow_clients_cost_the_others_nothing(string slowness, string options, string path)
    {
        await using var service = await ServiceProcess.StartAsync();
        using var tool = Process.Start(new ProcessStartInfo(
            "slowhttptest", $"{options} -c {SlowConnections} -r 500 -l 20 -p 10 -u {new Uri(service.Url, path)}")
        {
            RedirectStandardOutput = true,
            UseShellExecute = false,
        }) ?? throw new InvalidOperationException("slowhttptest does not start: run tests/install-tools.sh");
        var output = tool.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var calls = await Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => CallWhileAsync(service.Client, () => !tool.HasExited)));
        var connected = Connected().Matches(await output).Max(m => int.Parse(m.Groups["count"].Value, CultureInfo.InvariantCulture));
        Assert.True(connected > SlowConnections / 2, $"Only {connected} slow connections of {slowness} stood at once: {await output}");

        var (all, failed) = (calls.Sum(c => c.All), calls.Sum(c => c.Failed));
        TestContext.Current.TestOutputHelper?.WriteLine($"{slowness}: {connected} connections, {all} calls of others, {failed} failed");
        Assert.True(all > 100 && failed * 1000 <= all, $"{failed} of {all} calls failed beside {connected} connections of {slowness}.");
    }

    private static async Task<(int All, int Failed)> CallWhileAsync(HttpClient client, Func<bool> goesOn)
    {
        var (all, failed) = (0, 0);
        while (goesOn())
        {
            all++;
            try
            {
                var answer = await client.PostJsonAsync("/v1/tokens", """{"profile":"default","audience":"a"}""");
                failed += answer.Code is 201 ? 0 : 1;
            }
            catch (HttpRequestException)
            {
                failed++;
            }
        }

        return (all, failed);
    }

    /// <summary>In slowhttptest's coloured account of each few seconds.</summary>
    [GeneratedRegex(@"connected:\s*(\x1b\[[0-9;]*m)*\s*(?<count>[0-9]+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Connected();
}
