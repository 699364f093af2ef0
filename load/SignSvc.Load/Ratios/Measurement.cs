using SignSvc.Load.Calls;
using SignSvc.Load.Measuring;
using SignSvc.Load.Running;
using SignSvc.Load.Scenarios;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Ratios;

/// <param name="Length">Of one round of one subject.</param>
/// <param name="Rounds">Every subject has its turn once a round, so that the machine's drift falls on all of them alike.</param>
internal sealed record RatioOptions(TimeSpan Length, int Rounds, string Command);

/// <summary>Everything that the table of figures is made of, in one run.</summary>
internal sealed record Measurement(
    Machine Machine, string Command, double LoadAverageAtEnd, IReadOnlyList<Round> Rounds, IReadOnlyList<TimeSpan> Starts, long PeakResidentBytes,
    ScenarioResult HalfLoad, Histogram BareCommits, ScenarioResult Throttled, IReadOnlyList<string> Missing)
{
    public bool Has(string subject) => Rounds.Any(r => string.Equals(r.Subject, subject, StringComparison.Ordinal));

    public double Cpu(string subject) => Sample.Median(Of(subject).Select(r => r.CpuMicroseconds));

    public double Rate(string subject) => Sample.Median(Of(subject).Select(r => r.PerSecond));

    public double P50(string subject) => Sample.Median(Of(subject).Select(r => r.P50.TotalMilliseconds));

    public double P99(string subject) => Sample.Median(Of(subject).Select(r => r.P99.TotalMilliseconds));

    public IEnumerable<Round> Of(string subject) => Rounds.Where(r => string.Equals(r.Subject, subject, StringComparison.Ordinal));
}

/// <summary>Starts the service and what it stands beside, and measures them in turn.</summary>
internal sealed class RatioRun(RatioOptions options, TextWriter output)
{
    public const string Batch = "token batch of 1,000";
    public const string SoftwareSign = "assured signature, software, 16 connections";
    public const string KeySet = "key set";
    public const string Constant = "Kestrel constant answer";
    public static readonly int[] TokenConnections = [16, 64, 256];
    public static readonly int[] PeerConnections = [16, 64];
    public static readonly int[] HsmConnections = [1, 8];

    /// <summary>Connections of the closed loop whose rate is all of the load.</summary>
    private const int HalfLoadOf = 64;

    private const int DifferentDigests = 256;
    private const int Starts = 3;

    private static readonly Dictionary<string, string> NoSettings = new(StringComparer.Ordinal);

    private readonly List<string> _missing = [];

    public static string Token(int connections) => $"single token, {connections} connections";

    public static string Issuer(int connections) => $"bare issuer, {connections} connections";

    public static string Peer(int connections) => $"node oidc-provider, client_credentials, {connections} connections";

    public static string Hsm(int connections) => $"assured signature, SoftHSM2, {connections} connections";

    public static string RawHsm(int connections) => $"raw SoftHSM2, {connections} sessions";

    public async Task<Measurement> RunAsync(CancellationToken cancellationToken)
    {
        var machine = await Machine.DescribeAsync(TimeProvider.System, cancellationToken);
        await using var owned = new Owned();
        var starts = await StartsAsync(cancellationToken);
        var service = owned.Add(await ServiceTarget.StartAsync(NoSettings, cancellationToken));
        starts.Add(service.StartToFirstSignature);

        var turns = new List<(string Name, Func<TimeSpan, Task<Round>> Run)>
        {
            (Limits.Raw, length => Task.FromResult(Limits.SignRaw(length))),
        };
        AddLoop(turns, [.. TokenConnections.Select(c => Loop(Token(c), service, [service.Admin.Token()], c))], cancellationToken);
        await AddIssuerAsync(turns, owned, service, cancellationToken);
        AddLoop(turns, [Loop(Batch, service, [service.Admin.TokenBatch(1000)], 4, 1000)], cancellationToken);
        await TryAsync("openssl speed", () => AddOpenSslAsync(turns, cancellationToken));
        AddLoop(turns, [Loop(SoftwareSign, service, Digests(service, "release"), 16)], cancellationToken);
        await AddKeySetAsync(turns, owned, service, cancellationToken);
        await TryAsync("node oidc-provider", () => AddPeerAsync(turns, owned, cancellationToken));
        await TryAsync("SoftHSM2", () => AddHsmAsync(turns, owned, cancellationToken));

        var rounds = await TakeTurnsAsync(turns);
        var peak = service.Usage?.PeakResidentBytes ?? throw new TargetLostException($"The service ended by itself, with {service.EndedWith}.");
        var perSecond = Sample.Median(rounds.Where(r => string.Equals(r.Subject, Token(HalfLoadOf), StringComparison.Ordinal)).Select(r => r.PerSecond));
        var halfLoad = await RunAsync(new HalfLoad(perSecond / 2), service, time: 1, cancellationToken);
        var bareCommits = BareCommits.Run(perSecond / 2, HalfLoad.Length, cancellationToken);
        var throttled = await ThrottledAsync(cancellationToken);
        return new Measurement(machine, options.Command, Machine.LoadNow(), rounds, starts, peak, halfLoad, bareCommits, throttled, _missing);
    }

    private async Task<List<Round>> TakeTurnsAsync(List<(string Name, Func<TimeSpan, Task<Round>> Run)> turns)
    {
        output.WriteLine($"{turns.Count} subjects, {options.Rounds} rounds of {options.Length.TotalSeconds:0.#} s each");
        // Everything is compiled and every cache is filled before it counts.
        foreach (var (_, run) in turns)
            await run(TimeSpan.FromSeconds(1));
        var rounds = new List<Round>();
        for (var i = 1; i <= options.Rounds; i++)
        {
            foreach (var (_, run) in turns)
            {
                var round = await run(options.Length);
                rounds.Add(round);
                output.WriteLine($"  {i}/{options.Rounds} {round.Subject}: {round.PerSecond:0}/s, {round.CpuMicroseconds:0.0} µs of CPU each{(round.Failures > 0 ? $", {round.Failures} FAILED" : "")}");
            }
        }

        return rounds;
    }

    /// <summary>From the launch on an empty folder to the first signature; the last one is the service that is measured.</summary>
    private static async Task<List<TimeSpan>> StartsAsync(CancellationToken cancellationToken)
    {
        var starts = new List<TimeSpan>();
        for (var i = 1; i < Starts; i++)
        {
            await using var service = await ServiceTarget.StartAsync(NoSettings, cancellationToken);
            starts.Add(service.StartToFirstSignature);
        }

        return starts;
    }

    private static async Task AddIssuerAsync(List<(string, Func<TimeSpan, Task<Round>>)> turns, Owned owned, ServiceTarget service, CancellationToken cancellationToken)
    {
        var (process, url) = await BareIssuer.StartAsync(cancellationToken);
        owned.Add(process);
        AddLoop(turns, [.. TokenConnections.Select(c => new ClosedLoop(Issuer(c), url, process.Id, [service.Admin.Token()], c))], cancellationToken);
    }

    private static async Task AddKeySetAsync(List<(string, Func<TimeSpan, Task<Round>>)> turns, Owned owned, ServiceTarget service, CancellationToken cancellationToken)
    {
        var bytes = (int)(await service.MustAsync(ServiceCalls.KeySet(), cancellationToken)).BodyBytes;
        var (process, url) = await ConstantEndpoint.StartAsync(bytes, cancellationToken);
        owned.Add(process);
        AddLoop(
            turns, [Loop(KeySet, service, [ServiceCalls.KeySet()], 16), new ClosedLoop(Constant, url, process.Id, [ServiceCalls.KeySet()], 16)], cancellationToken);
    }

    /// <summary>Where what stands beside the service is missing or does not start, the run goes on without, and says so.</summary>
    private async Task TryAsync(string what, Func<Task> add)
    {
        try
        {
            await add();
        }
        catch (InvalidOperationException e)
        {
            _missing.Add($"{what}: {e.Message}");
            output.WriteLine($"  goes on without {what}: {e.Message}");
        }
    }

    private static async Task AddOpenSslAsync(List<(string, Func<TimeSpan, Task<Round>>)> turns, CancellationToken cancellationToken)
    {
        await Limits.RequireOpenSslAsync(cancellationToken);
        turns.Add((Limits.OpenSsl, length => Limits.SpeedAsync(length, cancellationToken)));
        turns.Add((Limits.OpenSslByCpu, length => Limits.SpeedByCpuAsync(length, cancellationToken)));
    }

    private static async Task AddPeerAsync(List<(string, Func<TimeSpan, Task<Round>>)> turns, Owned owned, CancellationToken cancellationToken)
    {
        var (process, url) = await OidcProvider.StartAsync(cancellationToken);
        owned.Add(process);
        AddLoop(turns, [.. PeerConnections.Select(c => new ClosedLoop(Peer(c), url, process.Id, [OidcProvider.Token], c))], cancellationToken);
    }

    private static async Task AddHsmAsync(List<(string, Func<TimeSpan, Task<Round>>)> turns, Owned owned, CancellationToken cancellationToken)
    {
        var token = owned.Add(await SoftHsmToken.MakeAsync(cancellationToken));
        var service = owned.Add(await ServiceTarget.StartAsync(token.Settings, cancellationToken));
        await service.MustAsync(
            service.Admin.CreateKey("""{"name":"hsm","purpose":"artifacts","tier":"assured","backend":"pkcs11","spec":"ECC_NIST_P256"}"""), cancellationToken);
        var spki = (await service.MustAsync(service.Admin.PublicKey("hsm"), cancellationToken)).Body.ToArray();
        foreach (var sessions in HsmConnections)
        {
            AddLoop(turns, [Loop(Hsm(sessions), service, Digests(service, "hsm"), sessions)], cancellationToken);
            turns.Add((RawHsm(sessions), async length =>
            {
                var (rate, p50) = await token.SignAsync(spki, sessions, length, cancellationToken);
                return new Round(RawHsm(sessions), (long)(rate * length.TotalSeconds), 0, length, TimeSpan.Zero, p50, TimeSpan.Zero);
            }
            ));
        }
    }

    private async Task<ScenarioResult> ThrottledAsync(CancellationToken cancellationToken)
    {
        await using var emulator = await KmsEmulatorProcess.StartAsync(KmsThrottled.Quota, TimeSpan.FromMilliseconds(10), cancellationToken);
        await using var service = await ServiceTarget.StartAsync(emulator.Settings, cancellationToken);
        return await RunAsync(new KmsThrottled(), service, time: 0.4, cancellationToken);
    }

    private async Task<ScenarioResult> RunAsync(Scenario scenario, ServiceTarget service, double time, CancellationToken cancellationToken)
    {
        var how = new RunOptions(Protocol.Http1, TimeScale: time, RateScale: 1, Seed: 1, options.Command);
        var result = await new ScenarioRun(scenario, service, how, new LiveProgress(output, isTerminal: false)).RunAsync(cancellationToken);
        cancellationToken.ThrowIfCancellationRequested();
        return result.Aborted is { } aborted ? throw new TargetLostException($"{scenario.Name}: {aborted}") : result;
    }

    private static ClosedLoop Loop(string subject, ServiceTarget service, IReadOnlyList<Call> calls, int connections, int signaturesEach = 1) =>
        new(subject, service.Http, service.ProcessId!.Value, calls, connections, signaturesEach);

    private static void AddLoop(List<(string, Func<TimeSpan, Task<Round>>)> turns, ClosedLoop[] loops, CancellationToken cancellationToken) =>
        turns.AddRange(loops.Select(loop => (loop.Subject, (Func<TimeSpan, Task<Round>>)(length => loop.RunAsync(length, cancellationToken)))));

    private static List<Call> Digests(ServiceTarget service, string key) =>
        [.. Enumerable.Range(0, DifferentDigests).Select(_ => service.Admin.Sign(key))];

    /// <summary>What was started, ended in reverse.</summary>
    private sealed class Owned : IAsyncDisposable
    {
        private readonly Stack<IAsyncDisposable> _things = new();

        public T Add<T>(T thing)
            where T : IAsyncDisposable
        {
            _things.Push(thing);
            return thing;
        }

        public async ValueTask DisposeAsync()
        {
            while (_things.TryPop(out var thing))
                await thing.DisposeAsync();
        }
    }
}
