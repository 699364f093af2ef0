using System.Diagnostics;
using SignSvc.Backends.Pkcs11;
using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Tests.Pkcs11;

/// <summary>
/// The backend against threads that call the module themselves, in one process and in turn. Explicit, since its figures
/// mean something on a quiet machine only: run it with <c>-explicit only -class '*ThroughputTests'</c>, in Release.
/// <c>SIGNSVC_PKCS11_ROUNDS</c> sets how often each has its turn (default 5),
/// <c>SIGNSVC_PKCS11_SPECS</c> the key specs.
/// </summary>
[Collection(SoftHsm.Collection)]
public sealed class ThroughputTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Turn = TimeSpan.FromSeconds(1);
    private static readonly int Rounds = int.Parse(Environment.GetEnvironmentVariable("SIGNSVC_PKCS11_ROUNDS") ?? "5");
    private static readonly string[] Specs =
        (Environment.GetEnvironmentVariable("SIGNSVC_PKCS11_SPECS") ?? "ECC_NIST_P256,RSA_2048,RSA_3072").Split(',');

    public static TheoryData<string, int> SpecsAndSessions()
    {
        var data = new TheoryData<string, int>();
        foreach (var spec in Specs)
        {
            foreach (var sessions in new[] { 1, 8, 32 })
                data.Add(spec, sessions);
        }

        return data;
    }

    [Theory(Explicit = true)]
    [MemberData(nameof(SpecsAndSessions))]
    public async Task The_backend_signs_as_fast_as_the_module(string specName, int sessions)
    {
        var options = await SoftHsm.OptionsAsync("load");
        options.Tokens[0].SessionLimit = sessions;
        await CompareAsync(options, KeySpec.Parse(specName), sessions);
    }

    /// <summary>As an HSM on a network does it: 5 ms for a signature, whoever waits, and the processor is free.</summary>
    [Theory(Explicit = true)]
    [InlineData(1)]
    [InlineData(8)]
    [InlineData(32)]
    public async Task The_backend_signs_as_fast_as_a_distant_module(int sessions)
    {
        var module = await FaultyModule.BuildAsync();
        module.DelaySignatures(5_000);
        var options = await module.OptionsAsync("load");
        options.Tokens[0].SessionLimit = sessions;
        await CompareAsync(options, KeySpec.P256, sessions);
    }

    private async Task CompareAsync(Pkcs11Options options, KeySpec spec, int sessions)
    {
        using var backend = new Pkcs11Backend(options, TimeProvider.System);
        var pair = await backend.CreateAsync(
            new KeyPairRequest("load", 1, "load", spec, KeyPurpose.Artifacts), TestContext.Current.CancellationToken);
        var key = ActiveVersion.Of(pair);

        var raw = new List<Figures>();
        var same = new List<Figures>();
        var queued = new List<Figures>();
        for (var round = 0; round <= Rounds; round++)
        {
            raw.Add(await RawAsync(options, key, sessions));
            same.Add(await ThroughBackendAsync(backend, key, callers: sessions));
            queued.Add(await ThroughBackendAsync(backend, key, callers: 2 * sessions));
        }

        await backend.DestroyAsync(key, TestContext.Current.CancellationToken);
        // The first round warms up.
        var module = Median(raw[1..]);
        var line = $"{spec.Name,-13} {sessions,2} sessions: raw {module} | as many callers {Compare(Median(same[1..]), module)}"
            + $" | twice as many {Compare(Median(queued[1..]), module)}";
        output.WriteLine(line);
        await Console.Error.WriteLineAsync(line);
    }

    private static string Compare(Figures ours, Figures raw) => $"{ours} ({ours.Rate / raw.Rate:P0}, CPU {ours.Cpu / raw.Cpu:P0})";

    private static async Task<Figures> RawAsync(Pkcs11Options options, KeyVersion key, int threads)
    {
        var module = CryptokiModule.Load(options.ModulePath, initializationParameters: null);
        var cpu = Process.GetCurrentProcess().TotalProcessorTime;
        var results = await Task.WhenAll(Enumerable.Range(0, threads).Select(_ => Task.Factory.StartNew(
            () => SignRaw(module, key), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
        module.Release(finalize: false);
        return Summarise(results, cpu);
    }

    private static List<double> SignRaw(CryptokiModule module, KeyVersion key)
    {
        var slot = module.GetSlotList().First(s => string.Equals(module.GetTokenInfo(s).label.ToString(), "load", StringComparison.Ordinal));
        var session = module.OpenSession(slot, writable: true);
        using var template = new Template().With(CK_ATTRIBUTE_TYPE.CKA_CLASS, CK.CKO_PRIVATE_KEY);
        Assert.True(KeyReference.TryParseHandle(key.Handle!, out var reference));
        reference.AddTo(template);
        var handle = session.FindObjects(template)[0];
        var algorithm = key.PublicKey.Spec.Algorithms[0];
        var digest = new byte[algorithm.DigestLength];
        var signature = new byte[key.PublicKey.Spec.SignatureLength];
        var times = new List<double>(100_000);
        var start = Stopwatch.GetTimestamp();
        for (var before = start; Stopwatch.GetElapsedTime(start) < Turn;)
        {
            SigningMechanism.Sign(session, handle, algorithm, digest, signature);
            var after = Stopwatch.GetTimestamp();
            times.Add(Stopwatch.GetElapsedTime(before, after).TotalMicroseconds);
            before = after;
        }

        session.Close();
        return times;
    }

    private static async Task<Figures> ThroughBackendAsync(Pkcs11Backend backend, KeyVersion key, int callers)
    {
        var algorithm = key.PublicKey.Spec.Algorithms[0];
        var digest = new byte[algorithm.DigestLength];
        var cpu = Process.GetCurrentProcess().TotalProcessorTime;
        return Summarise(await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(async () =>
        {
            var times = new List<double>(100_000);
            var start = Stopwatch.GetTimestamp();
            for (var before = start; Stopwatch.GetElapsedTime(start) < Turn;)
            {
                await backend.SignAsync(key, algorithm, digest, CancellationToken.None);
                var after = Stopwatch.GetTimestamp();
                times.Add(Stopwatch.GetElapsedTime(before, after).TotalMicroseconds);
                before = after;
            }

            return times;
        }))), cpu);
    }

    private static Figures Summarise(List<double>[] results, TimeSpan cpuBefore)
    {
        var all = results.SelectMany(r => r).Order().ToList();
        return new(all.Count / Turn.TotalSeconds, all[all.Count / 2], (Process.GetCurrentProcess().TotalProcessorTime - cpuBefore).TotalMicroseconds / all.Count);
    }

    private static Figures Median(List<Figures> rounds) => new(
        rounds.Select(r => r.Rate).Order().ElementAt(rounds.Count / 2),
        rounds.Select(r => r.P50).Order().ElementAt(rounds.Count / 2),
        rounds.Select(r => r.Cpu).Order().ElementAt(rounds.Count / 2));

    /// <param name="Rate">Signatures a second.</param>
    /// <param name="P50">Median latency in microseconds.</param>
    /// <param name="Cpu">Microseconds of this process's CPU for each signature: holds on a busy machine too.</param>
    private sealed record Figures(double Rate, double P50, double Cpu)
    {
        public override string ToString() => $"{Rate,6:0}/s p50 {P50,5:0} µs CPU {Cpu,5:0.0} µs";
    }
}
