using System.Diagnostics;
using Microsoft.Data.Sqlite;
using SignSvc.Signing;
using SignSvc.Signing.Storage;
using SignSvc.Storage.Sqlite;

namespace SignSvc.Storage.Tests;

public sealed class SqliteStoreTests : StoreContract
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signsvc-sqlite-");

    private string File => Path.Combine(_folder.FullName, "signsvc.db");

    [Fact]
    public async Task While_another_process_holds_the_file_commits_are_refused_and_leave_nothing()
    {
        var chain = new ChainWriter("a");
        await chain.CommitAsync(Store);
        await using var other = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = File, Pooling = false }.ToString());
        await other.OpenAsync(Cancel);
        await using (other.BeginTransaction(deferred: false))
        {
            var refusal = await Assert.ThrowsAsync<SigningException>(() => Store.CommitAsync(chain.Next(), [], Cancel));
            Assert.Equal(SigningFault.StoreUnavailable, refusal.Fault);
        }

        Assert.Equal(1, (await Store.ReadAuditHeadAsync("a", Cancel))!.LastSequence);
        await chain.CommitAsync(Store);
        Assert.Equal(2, (await Store.ReadAuditHeadAsync("a", Cancel))!.LastSequence);
    }

    [Fact]
    public async Task The_log_is_moved_into_the_file_while_commits_go_on()
    {
        const int mebibyte = 1024 * 1024;
        const int commits = 96;
        var chain = new ChainWriter("a");
        var between = 0;
        using var running = RunningTime.Start();
        for (var i = 1; i <= commits; i++)
        {
            await chain.CommitAsync(Store, chain.Next(body: new byte[mebibyte]));
            // Commits end on the thread where they begin: the move gets one of its own, however late, only where they pause.
            for (; i % 8 == 0 && new FileInfo(File).Length < (i - 12L) * mebibyte; between++)
            {
                Assert.True(running.Elapsed < TimeSpan.FromSeconds(60), $"After {i} MiB the file has {new FileInfo(File).Length} bytes.");
                await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, Cancel);
                await chain.CommitAsync(Store);
            }
        }

        Assert.InRange(new FileInfo(File + "-wal").Length, 0, commits / 2 * mebibyte);
        Assert.InRange(new FileInfo(File).Length, commits / 2 * mebibyte, long.MaxValue);
        Assert.Equal(commits + between, await Store.ReadAuditChainAsync("a", 1, Cancel).CountAsync(Cancel));
    }

    [Fact]
    public async Task Those_who_use_something_once_while_the_file_is_held_take_no_threads_from_others_and_are_refused_within_bounds()
    {
        const int users = 200;
        await using var store = SqliteStore.Open(File);
        await using var other = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = File, Pooling = false }.ToString());
        await other.OpenAsync(Cancel);
        await using (other.BeginTransaction(deferred: false))
        {
            // By the steady clock: where threads are missing, what counts by a timer stands still too.
            var from = Stopwatch.GetTimestamp();
            var uses = Enumerable.Range(0, users).Select(i => store.TryUseAsync("jti", $"{i}", ChainWriter.Noon, Cancel)).ToArray();
            var queued = ThreadPool.PendingWorkItemCount;
            // Before the first gives up, who has a thread or waits for one has left the store's queue.
            if (Stopwatch.GetElapsedTime(from) < TimeSpan.FromSeconds(1))
                Assert.InRange(queued, 0, users / 2);
            // Each takes a thread that is free again.
            for (var i = 0; i < 20; i++)
                await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, Cancel);
            Assert.InRange(Stopwatch.GetElapsedTime(from), TimeSpan.Zero, TimeSpan.FromSeconds(20));
            foreach (var use in uses)
                Assert.Equal(SigningFault.StoreUnavailable, (await Assert.ThrowsAsync<SigningException>(() => use)).Fault);
            Assert.InRange(Stopwatch.GetElapsedTime(from), TimeSpan.Zero, TimeSpan.FromSeconds(40));
        }

        // Of those who gave up one may still have used its own.
        Assert.True(await UseAsync(users));

        async Task<bool> UseAsync(int id)
        {
            try
            {
                return await store.TryUseAsync("jti", $"{id}", ChainWriter.Noon, Cancel);
            }
            catch (SigningException e) when (e.Fault == SigningFault.StoreUnavailable && id < users + 20)
            {
                // The disk was busy for longer than the store's patience.
                return await UseAsync(id + 1);
            }
        }
    }

    /// <summary>With patience for a disk that is busy with others.</summary>
    protected override Task<IStore> OpenAsync() => Task.FromResult<IStore>(SqliteStore.Open(File, patience: TimeSpan.FromMinutes(1)));

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _folder.Delete(recursive: true);
    }
}
