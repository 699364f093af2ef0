using System.CommandLine;
using SignSvc.Emulation;
using SignSvc.Emulation.Faults;
using SignSvc.Emulation.Wire;

var url = new Option<string>("--url")
{
    Description = "Where to listen.",
    DefaultValueFactory = _ => "http://127.0.0.1:8180",
};
var state = new Option<string?>("--state") { Description = "File that keeps keys and aliases over restarts." };
var accessKeys = new Option<string[]>("--access-key")
{
    Description = "ID:ACCOUNT or ID:ACCOUNT:SECRET; repeatable. Without any, every access key is accepted.",
};
var control = new Option<bool>("--control")
{
    Description = "Serve /_emulator/ for faults, quotas, settings and counters.",
};
var unlimited = new Option<bool>("--no-quotas") { Description = "Throttle nothing." };
var consistency = new Option<double>("--consistency-delay")
{
    Description = "Seconds until new keys and changed aliases are seen.",
};
var latency = new Option<double>("--latency")
{
    Description = "Median latency in milliseconds; the 99th percentile is four times that.",
};

var command = new RootCommand("A stand-in for AWS KMS.")
{
    url,
    state,
    accessKeys,
    control,
    unlimited,
    consistency,
    latency,
};
command.SetAction(
    async (arguments, cancellationToken) =>
    {
        var options = new KmsEmulatorOptions
        {
            Url = new Uri(arguments.GetRequiredValue(url)),
            StateFile = arguments.GetValue(state),
            AccessKeys = [.. (arguments.GetValue(accessKeys) ?? []).Select(AccessKey.Parse)],
            Control = arguments.GetValue(control),
            Log = true,
        };
        options.World.ConsistencyDelay = TimeSpan.FromSeconds(arguments.GetValue(consistency));
        await using var emulator = await KmsEmulator.StartAsync(options, cancellationToken);
        emulator.Quotas.Enforced = !arguments.GetValue(unlimited);
        var median = TimeSpan.FromMilliseconds(arguments.GetValue(latency));
        emulator.Latency = new Latency(median, median * 4);
        await emulator.WaitForShutdownAsync(cancellationToken);
    });
return await command.Parse(args).InvokeAsync();
