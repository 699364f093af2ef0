using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace SignSvc.Operations.Tests.LiveAlarms;

/// <summary>
/// Debian's Prometheus with the rules of deploy/prometheus on services that run. Seconds stand for the minutes that an alarm
/// is held back, and rules are evaluated each second; the spans that they look back are as they are.
/// </summary>
internal sealed partial class PrometheusProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly DirectoryInfo _folder;
    private readonly HttpClient _client;

    private PrometheusProcess(Process process, DirectoryInfo folder, Uri url)
    {
        (_process, _folder) = (process, folder);
        _client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = url };
    }

    public static async Task<PrometheusProcess> StartAsync(CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("signsvc-prometheus-");
        foreach (var rules in new[] { "recording.yml", "alerts.yml" })
        {
            var text = await File.ReadAllTextAsync(Outside.File("deploy", "prometheus", rules), cancellationToken);
            await File.WriteAllTextAsync(Path.Combine(folder.FullName, rules), Sooner(text), cancellationToken);
        }

        await File.WriteAllTextAsync(
            Path.Combine(folder.FullName, "prometheus.yml"),
            """
            global: { scrape_interval: 1s, evaluation_interval: 1s }
            rule_files: [recording.yml, alerts.yml]
            scrape_configs:
              - job_name: signsvc
                file_sd_configs: [{ files: [targets.json], refresh_interval: 1s }]
            """,
            cancellationToken);
        var url = new Uri($"http://127.0.0.1:{FreePort.Next()}");
        var process = Process.Start(new ProcessStartInfo(
            "prometheus",
            [
                $"--config.file={folder.FullName}/prometheus.yml", $"--storage.tsdb.path={folder.FullName}/data", $"--web.listen-address={url.Authority}", "--log.level=error",
            ])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
        }) ?? throw new InvalidOperationException("Prometheus does not start: apt-get install -y prometheus");
        return new PrometheusProcess(process, folder, url);
    }

    /// <summary>What is scraped from now on; a node that is left out is not missed.</summary>
    public void Watch(params IEnumerable<ServiceProcess> nodes)
    {
        var file = Path.Combine(_folder.FullName, "targets.json");
        File.WriteAllText($"{file}.new", $$"""[{"targets":[{{string.Join(',', nodes.Select(n => $"\"{n.Url.Authority}\""))}}]}]""");
        File.Move($"{file}.new", file, overwrite: true);
    }

    /// <summary>Names of the alarms that fire now; null: it cannot be asked yet.</summary>
    public async Task<string[]?> FiringAsync(CancellationToken cancellationToken)
    {
        try
        {
            var answer = JsonSerializer.Deserialize<JsonElement>(await _client.GetStringAsync("/api/v1/alerts", cancellationToken));
            return [.. answer.GetProperty("data").GetProperty("alerts").EnumerateArray()
                .Where(a => a.GetProperty("state").GetString() is "firing")
                .Select(a => a.GetProperty("labels").GetProperty("alertname").GetString()!).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        }
        catch (HttpRequestException)
        {
            return null;
        }
    }

    /// <summary>The one value of a query; null: it has none.</summary>
    public async Task<double?> AskAsync(string query, CancellationToken cancellationToken)
    {
        var answer = JsonSerializer.Deserialize<JsonElement>(await _client.GetStringAsync($"/api/v1/query?query={Uri.EscapeDataString(query)}", cancellationToken));
        var result = answer.GetProperty("data").GetProperty("result");
        return result.GetArrayLength() == 0 ? null : double.Parse(result[0].GetProperty("value")[1].GetString()!, System.Globalization.CultureInfo.InvariantCulture);
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        _folder.Delete(recursive: true);
    }

    /// <summary>On a busy machine a scrape may take longer than its second: one that fails is no node that is down.</summary>
    private static string Sooner(string rules) =>
        DownForSeconds().Replace(EachSecond().Replace(HeldBack().Replace(rules, "for: 3s"), "interval: 1s"), "for: 15s");

    [GeneratedRegex(@"interval: \d+s", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex EachSecond();

    [GeneratedRegex(@"for: \d+[mh]", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex HeldBack();

    [GeneratedRegex(@"(?<=alert: SignSvcDown\n\s+expr: \|\n.*\n\s+)for: 3s", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex DownForSeconds();
}
