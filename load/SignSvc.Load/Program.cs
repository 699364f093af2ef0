using SignSvc.Load;

// Usage: dotnet run -c Release --project load/SignSvc.Load -- [--seconds 5] [--rounds 3] [--connections 16]
var options = LoadOptions.Parse(args);
using var interrupted = new CancellationTokenSource();
Console.CancelKeyPress += (_, e) =>
{
    e.Cancel = true;
    interrupted.Cancel();
};

await using var service = await ServiceUnderLoad.StartAsync(TimeProvider.System, interrupted.Token);
Console.WriteLine($"start to first signature: {service.StartToFirstSignature.TotalMilliseconds:F0} ms");

var rounds = new List<Round>();
for (var i = 0; i < options.Rounds; i++)
{
    // Interleaved, so that the machine's drift falls on all of them alike.
    rounds.Add(RawSignatures.Run(options));
    rounds.Add(await service.RunAsync("sign (P-256, assured, software)", ServiceUnderLoad.Sign, options, interrupted.Token));
    rounds.Add(await service.RunAsync("token (ES256)", ServiceUnderLoad.Token, options, interrupted.Token));
    rounds.Add(await service.RunAsync("token batch of 1,000", ServiceUnderLoad.TokenBatch, options with { Connections = 2 }, interrupted.Token));
    rounds.Add(await service.RunAsync("JWKS", ServiceUnderLoad.KeySet, options, interrupted.Token));
}

Report.Print(rounds, service.ResidentBytes());
