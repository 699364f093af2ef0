using SignSvc.Signing.Storage;

namespace SignSvc.Storage.Tests;

/// <summary>What <see cref="IUseOnce"/> guarantees (promise 12).</summary>
public abstract partial class StoreContract
{
    private IUseOnce Uses => (IUseOnce)Store;

    [Fact]
    public async Task What_was_used_is_used_for_good_also_after_a_restart()
    {
        var until = ChainWriter.Noon.AddMinutes(10);
        Assert.False(await Uses.WasUsedAsync("jti", "a", Cancel));
        Assert.True(await Uses.TryUseAsync("jti", "a", until, Cancel));
        Assert.True(await Uses.TryUseAsync("dpop", "a", until, Cancel));
        Assert.True(await Uses.TryUseAsync("jti", "b", until, Cancel));
        Assert.False(await Uses.TryUseAsync("jti", "a", until.AddHours(1), Cancel));

        await Store.DisposeAsync();
        await using var reopened = await OpenAsync();
        var again = (IUseOnce)reopened;
        Assert.False(await again.TryUseAsync("jti", "a", until, Cancel));
        Assert.True(await again.WasUsedAsync("jti", "b", Cancel));
        Assert.False(await again.WasUsedAsync("other", "b", Cancel));
    }

    [Fact]
    public async Task Of_many_who_use_the_same_at_once_one_does_while_the_audit_goes_on()
    {
        const int Rounds = 20;
        const int Racers = 16;
        var chain = new ChainWriter("a");
        for (var round = 0; round < Rounds; round++)
        {
            var id = $"id-{round}";
            var racers = Enumerable.Range(0, Racers).Select(_ => Task.Run(() => Uses.TryUseAsync("jti", id, ChainWriter.Noon, Cancel))).ToArray();
            await chain.CommitAsync(Store);
            Assert.Single(await Task.WhenAll(racers), won => won);
        }
    }

    [Fact]
    public async Task What_may_be_forgotten_is_forgotten_and_the_rest_is_not()
    {
        for (var i = 0; i < 5; i++)
            Assert.True(await Uses.TryUseAsync("jti", $"{i}", ChainWriter.Noon.AddMinutes(i), Cancel));
        var forgotten = 0;
        while (await Uses.ForgetAsync(ChainWriter.Noon.AddMinutes(3), Cancel) is > 0 and var some)
            forgotten += some;
        Assert.Equal(3, forgotten);
        Assert.True(await Uses.TryUseAsync("jti", "0", ChainWriter.Noon, Cancel));
        Assert.False(await Uses.TryUseAsync("jti", "3", ChainWriter.Noon, Cancel));
        Assert.False(await Uses.TryUseAsync("jti", "4", ChainWriter.Noon, Cancel));
    }
}
