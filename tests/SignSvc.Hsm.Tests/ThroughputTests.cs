using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using SignSvc.Signing.Keys;

namespace SignSvc.Hsm.Tests;

/// <summary>
/// The service over HTTP against a program that does nothing but sign with the same module and key, in turn and with as
/// many callers as sessions. Explicit, since it prints figures and its figures need a quiet machine; the service and its
/// callers share the processors with the module's own work, which on SoftHSM2 is all the work there is:
/// <c>dotnet run --project tests/SignSvc.Hsm.Tests -c Release -- -explicit only -class '*ThroughputTests'</c>.
/// </summary>
public sealed class ThroughputTests(ITestOutputHelper output)
{
    private const int Rounds = 3;
    private static readonly TimeSpan Turn = TimeSpan.FromSeconds(2);

    /// <summary>Until what runs often is compiled for good.</summary>
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(6);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>SoftHSM2 itself.</summary>
    [Theory(Explicit = true)]
    [InlineData("ECC_NIST_P256")]
    [InlineData("RSA_2048")]
    [InlineData("RSA_3072")]
    public async Task The_service_against_the_module(string specName)
    {
        await using var tokens = await HsmTokens.MakeAsync("load");
        foreach (var sessions in new[] { 1, 8, 32 })
            await CompareAsync(tokens, HsmTokens.Module, specName, KeySpec.Parse(specName), sessions, callers: sessions);
    }

    /// <summary>
    /// A module that takes 20 ms for a signature and no processor. With as many callers as sessions a session is idle
    /// while its caller waits for the record; with twice as many the token has always something to do.
    /// </summary>
    [Theory(Explicit = true)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task The_service_against_a_distant_module(int callersForEachSession)
    {
        await using var tokens = await HsmTokens.MakeAsync("load");
        var module = await tokens.MakeDistantAsync(TimeSpan.FromMilliseconds(20));
        foreach (var sessions in new[] { 1, 8, 32 })
            await CompareAsync(tokens, module, "P-256, 20 ms away", KeySpec.P256, sessions, sessions * callersForEachSession);
    }

    private async Task CompareAsync(HsmTokens tokens, string module, string name, KeySpec spec, int sessions, int callers)
    {
        var rawSign = await tokens.BuildRawSignAsync();
        var limit = sessions.ToString(CultureInfo.InvariantCulture);
        await using var service = await ServiceProcess.StartAsync(
            tokens.Service(("Backends__Pkcs11__ModulePath", module), ("Backends__Pkcs11__Tokens__0__SessionLimit", limit)));
        await service.CreateAsync("load", spec);
        var id = await service.CkaIdAsync("load");
        var body = $$"""{"digest":"{{Convert.ToBase64String(new byte[32])}}","algorithm":"{{spec.Algorithms[0].Name}}"}""";
        var raw = new List<Figures>();
        var served = new List<Figures>();
        var bytes = System.Text.Encoding.UTF8.GetBytes(body);
        await ServedAsync(service, bytes, callers, WarmUp);
        for (var round = 0; round < Rounds; round++)
        {
            raw.Add(await RawAsync(tokens, rawSign, module, id, spec, limit));
            served.Add(await ServedAsync(service, bytes, callers, Turn));
        }

        var (itself, ours) = (Median(raw), Median(served));
        var load = (await File.ReadAllTextAsync("/proc/loadavg", Cancel)).Split(' ')[0];
        var line = string.Create(
            CultureInfo.InvariantCulture,
            $"| {name} | {sessions} | {callers} | {itself.Rate:0} | {ours.Rate:0} | {ours.Rate / itself.Rate:P0} | {itself.P50 / 1000:0.00} | {ours.P50 / 1000:0.00} | {ours.Cpu:0} | {load} |");
        output.WriteLine(line);
        await Console.Error.WriteLineAsync(line);
    }

    private static async Task<Figures> RawAsync(HsmTokens tokens, string rawSign, string module, string id, KeySpec spec, string threads)
    {
        var kind = spec.Family == KeyFamily.Rsa ? "rsa" : "ecdsa";
        var printed = await tokens.RunAsync("", rawSign, module, "load", id, kind, threads, "2");
        var figures = printed.Split(' ').Select(f => double.Parse(f, CultureInfo.InvariantCulture)).ToArray();
        return new(figures[0], figures[1], Cpu: 0);
    }

    private static async Task<Figures> ServedAsync(ServiceProcess service, byte[] body, int callers, TimeSpan turn)
    {
        var client = service.Client;
        using var process = Process.GetProcessById(service.ProcessId);
        var cpu = process.TotalProcessorTime;
        var began = Stopwatch.GetTimestamp();
        var times = await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(async () =>
        {
            var mine = new List<double>();
            var start = Stopwatch.GetTimestamp();
            for (var before = start; Stopwatch.GetElapsedTime(start) < turn;)
            {
                using var content = new ByteArrayContent(body);
                content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
                using var answer = await client.PostAsync("/v1/keys/load/sign", content, Cancel);
                Assert.True(answer.IsSuccessStatusCode, $"{answer.StatusCode}");
                var after = Stopwatch.GetTimestamp();
                mine.Add(Stopwatch.GetElapsedTime(before, after).TotalMicroseconds);
                before = after;
            }

            return mine;
        }, Cancel)));
        var took = Stopwatch.GetElapsedTime(began).TotalSeconds;
        process.Refresh();
        var all = times.SelectMany(t => t).Order().ToList();
        return new(all.Count / took, all[all.Count / 2], (process.TotalProcessorTime - cpu).TotalMicroseconds / all.Count);
    }

    private static Figures Median(List<Figures> rounds)
    {
        return new(Middle(r => r.Rate), Middle(r => r.P50), Middle(r => r.Cpu));

        double Middle(Func<Figures, double> value) => rounds.Select(value).Order().ElementAt(rounds.Count / 2);
    }

    /// <param name="Rate">Signatures a second.</param>
    /// <param name="P50">Median latency in microseconds.</param>
    /// <param name="Cpu">Processor time of the service for each signature, in microseconds.</param>
    private sealed record Figures(double Rate, double P50, double Cpu);
}
