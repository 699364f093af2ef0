using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using Google.Protobuf;
using SignSvc.Grpc.V1;

namespace SignSvc.GrpcService.Tests;

/// <summary>
/// What a signature costs over each protocol, in one interleaved run. Explicit, because a busy machine says nothing:
/// <c>dotnet run --project tests/SignSvc.GrpcService.Tests -c Release -- -explicit only -class "*.Figures" -showLiveOutput</c>
/// </summary>
public sealed class Figures(GrpcServer server)
{
    private const int Calls = 4000;
    private const int Rounds = 5;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact(Explicit = true)]
    public async Task CPU_and_throughput_of_a_signature()
    {
        await using var narrow = await WithStreamsOfAsync(64);
        await using var wide = await WithStreamsOfAsync(512);
        var digest = ByteString.CopyFrom(SHA256.HashData("x"u8));
        var json = $$"""{"digest":"{{digest.ToBase64()}}","algorithm":"ES256"}""";
        var request = new SignRequest { Key = "release", Digest = digest, Algorithm = "ES256" };
        var ways = new (string Name, ServiceProcess Service, Func<Task> Run)[]
        {
            ("HTTP/1.1, 16 at once", server.Service, () => ParallelAsync(16, () => HttpAsync(json))),
            ("gRPC unary, 16 at once", server.Service, () => ParallelAsync(16, () => UnaryAsync(request))),
            ("gRPC unary, 64 at once", server.Service, () => ParallelAsync(64, () => UnaryAsync(request))),
            ("gRPC unary, 100 at once", server.Service, () => ParallelAsync(100, () => UnaryAsync(request))),
            ("SignStream, 64 in work", narrow, () => StreamAsync(narrow, request)),
            ("SignStream, the default", server.Service, () => StreamAsync(server.Service, request)),
            ("SignStream, 512 in work", wide, () => StreamAsync(wide, request)),
        };
        var results = ways.ToDictionary(w => w.Name, _ => new List<(double Cpu, double Rate)>(), StringComparer.Ordinal);
        for (var round = 0; round <= Rounds; round++)
        {
            foreach (var (name, service, run) in ways)
            {
                var (cpu, rate) = await MeasureAsync(service, run);
                // The first round warms up.
                if (round > 0)
                    results[name].Add((cpu, rate));
            }
        }

        foreach (var (name, rounds) in results)
        {
            var line = string.Create(
                CultureInfo.InvariantCulture,
                $"{name,-26} {Median(rounds.Select(r => r.Cpu)),8:F1} µs CPU of the service a signature {Median(rounds.Select(r => r.Rate)),8:F0}/s");
            TestContext.Current.TestOutputHelper!.WriteLine(line);
        }
    }

    private static Task<ServiceProcess> WithStreamsOfAsync(int parallelism) => ServiceProcess.StartAsync(new ServiceOptions
    {
        Environment = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["SignSvc__Grpc__StreamParallelism"] = GrpcServer.Number(parallelism),
        },
    });

    private static async Task<(double Cpu, double Rate)> MeasureAsync(ServiceProcess service, Func<Task> run)
    {
        using var process = Process.GetProcessById(service.ProcessId);
        var cpu = process.TotalProcessorTime;
        var started = Stopwatch.GetTimestamp();
        await run();
        var elapsed = Stopwatch.GetElapsedTime(started);
        process.Refresh();
        return ((process.TotalProcessorTime - cpu).TotalMicroseconds / Calls, Calls / elapsed.TotalSeconds);
    }

    private static Task ParallelAsync(int atOnce, Func<Task> call) => Parallel.ForAsync(
        0, Calls, new ParallelOptions { MaxDegreeOfParallelism = atOnce, CancellationToken = Cancellation }, async (_, _) => await call());

    private async Task HttpAsync(string json) =>
        Assert.Equal(200, (await server.Service.Client.PostJsonAsync("/v1/keys/release/sign", json)).Code);

    private async Task UnaryAsync(SignRequest request) =>
        Assert.NotEmpty((await server.Admin.CallAsync<SignResponse>("signsvc.v1.Signing/Sign", request)).Signature);

    private static async Task StreamAsync(ServiceProcess service, SignRequest request)
    {
        using var client = new GrpcClient(await GrpcServer.AddressAsync(service), service.AdminToken);
        var stream = await client.OpenAsync<SignStreamResponse>("signsvc.v1.Signing/SignStream");
        var sending = Task.Run(
            async () =>
            {
                foreach (var chunk in Enumerable.Range(1, Calls).Chunk(100))
                    await stream.WriteAsync(chunk.Select(id => new SignStreamRequest { Id = (ulong)id, Request = request }));
                stream.Complete();
            },
            Cancellation);
        var answers = 0;
        while (await stream.ReadAsync() is { Result.Signed: not null })
            answers++;
        await sending;
        Assert.Equal(Calls, answers);
    }

    private static double Median(IEnumerable<double> values) => values.Order().ElementAt(Rounds / 2);
}
