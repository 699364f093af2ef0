using System.Security.Cryptography;
using SignSvc.Backends.Pkcs11;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Tests.Pkcs11;

/// <summary>What signatures leave behind.</summary>
[Collection(nameof(Alone))]
public sealed class CostTests
{
    private const int Signatures = 100_000;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>
    /// The module's memory is counted by its allocator, of all arenas: a byte lost for each signature is seen. The process
    /// as the system sees it is allowed what the runtime takes for itself.
    /// </summary>
    [Fact]
    public async Task A_hundred_thousand_signatures_leave_no_memory_threads_or_sessions_behind()
    {
        await using var faulty = await FaultyToken.OpenAsync();
        // Slow ones open every session; fast ones may do without the last for a while, and open it later.
        faulty.Module.DelaySignatures(2_000);
        while (faulty.Status.Sessions < 8)
            await SignAsync(faulty.Backend, faulty.Key, 64);
        faulty.Module.DelaySignatures(0);
        await SignAsync(faulty.Backend, faulty.Key, 5_000);
        var before = Resources();
        var sessions = faulty.Module.Sessions;

        await SignAsync(faulty.Backend, faulty.Key, Signatures);

        var after = Resources();
        TestContext.Current.TestOutputHelper!.WriteLine($"{Signatures} signatures: {before} -> {after}");
        Assert.Equal(sessions, faulty.Module.Sessions);
        Assert.True(after.NativeBytes < before.NativeBytes + Signatures, $"Native bytes: {before.NativeBytes} -> {after.NativeBytes}");
        Assert.True(after.Handles <= before.Handles + 8, $"Handles: {before.Handles} -> {after.Handles}");
        Assert.True(after.ResidentKiB < before.ResidentKiB + 8_192, $"Resident KiB: {before.ResidentKiB} -> {after.ResidentKiB}");
    }

    [Fact]
    public async Task A_signature_allocates_little_more_than_itself()
    {
        await using var faulty = await FaultyToken.OpenAsync();
        var digest = new byte[32];
        for (var i = 0; i < 2_000; i++)
            await faulty.Backend.SignAsync(faulty.Key, SigningAlgorithm.ES256, digest, Cancel);
        var before = GC.GetTotalAllocatedBytes(precise: true);
        const int count = 2_000;
        for (var i = 0; i < count; i++)
            await faulty.Backend.SignAsync(faulty.Key, SigningAlgorithm.ES256, digest, Cancel);
        var each = (GC.GetTotalAllocatedBytes(precise: true) - before) / (double)count;
        TestContext.Current.TestOutputHelper!.WriteLine($"{each:0} bytes for each signature");

        // 88 of them are the signature, 32 its digest's place in the queue of the thread pool.
        Assert.True(each < 512, $"{each:0} bytes for each signature.");
    }

    private static Task SignAsync(Pkcs11Backend backend, KeyVersion key, int count) =>
        Parallel.ForAsync(0, count, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = Cancel }, async (_, cancel) =>
            await backend.SignAsync(key, SigningAlgorithm.ES256, RandomNumberGenerator.GetBytes(32), cancel));

    private static (long ResidentKiB, int Handles, long NativeBytes) Resources()
    {
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        using var self = System.Diagnostics.Process.GetCurrentProcess();
        return (self.WorkingSet64 / 1024, Directory.GetFiles("/proc/self/fd").Length, NativeHeap.BytesInUse());
    }
}

/// <summary>No other test runs at the same time.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;
