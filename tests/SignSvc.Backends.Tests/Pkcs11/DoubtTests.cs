using SignSvc.Signing;

namespace SignSvc.Backends.Tests.Pkcs11;

/// <summary>What a token or its module said once is not believed for ever.</summary>
[Collection(SoftHsm.Collection)]
public sealed class DoubtTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Sessions_that_a_token_refused_for_a_while_are_opened_again()
    {
        var clock = new SkippingClock();
        await using var faulty = await FaultyToken.OpenAsync(o => o.Tokens[0].SessionLimit = 8, clock);
        faulty.Module.DelaySignatures(2_000);
        faulty.Module.LimitSessions(3);
        await LoadAsync();
        Assert.InRange(faulty.Status.Sessions, 1, 2);

        faulty.Module.LimitSessions(4_096);
        await LoadAsync();
        Assert.InRange(faulty.Status.Sessions, 1, 2);
        for (var doubling = 0; doubling < 3; doubling++)
        {
            clock.Skip(TimeSpan.FromSeconds(20));
            await LoadAsync();
        }

        Assert.Equal(8, faulty.Status.Sessions);

        Task LoadAsync() => Parallel.ForAsync(
            0, 300, new ParallelOptions { MaxDegreeOfParallelism = 16, CancellationToken = Cancel }, async (_, _) => await faulty.SignAsync());
    }

    /// <summary>The folder of a token is moved away before a key on it was ever used, and put back.</summary>
    [Fact]
    public async Task A_key_that_was_never_used_is_found_when_an_emptied_token_is_whole_again()
    {
        var clock = new SkippingClock();
        await using var faulty = await FaultyToken.OpenAsync(time: clock);
        faulty.Module.HideObjects(hidden: true);
        var gone = await Assert.ThrowsAsync<SigningException>(faulty.SignAsync);
        Assert.Equal(SigningFault.KeyNotUsable, gone.Fault);
        Assert.Equal("The token faulty has no such key.", gone.Message);
        Assert.Equal(2, faulty.Status.Connections);
        await Assert.ThrowsAsync<SigningException>(faulty.SignAsync);
        Assert.Equal(2, faulty.Status.Connections);

        clock.Skip(TimeSpan.FromMinutes(2));
        faulty.Module.ShowObjectsOnceInitialised();
        await faulty.SignAsync();
        Assert.Equal(3, faulty.Status.Connections);
    }

    [Fact]
    public async Task A_key_that_is_really_gone_does_not_make_the_token_connect_for_ever()
    {
        var clock = new SkippingClock();
        await using var faulty = await FaultyToken.OpenAsync(time: clock);
        var gone = faulty.Key with { Handle = "id:0123456789" };
        for (var day = 0; day < 50; day++)
        {
            await Assert.ThrowsAsync<SigningException>(() => faulty.SignAsync(gone));
            await faulty.SignAsync();
            clock.Skip(TimeSpan.FromDays(1));
        }

        Assert.Equal(9, faulty.Status.Connections);
    }

    [Fact]
    public async Task A_C_Finalize_that_fails_does_not_keep_the_token_away()
    {
        await using var faulty = await FaultyToken.OpenAsync();
        await faulty.SignAsync();
        var finalized = faulty.Module.Calls(FaultyModule.Finalize);
        faulty.Module.Fail(FaultyModule.Finalize, 0x05 /* CKR_GENERAL_ERROR */, 1);
        faulty.Module.Pull();
        while (faulty.Module.Calls(FaultyModule.Finalize) == finalized)
            await Assert.ThrowsAsync<SigningException>(faulty.SignAsync);
        faulty.Module.PutBack();
        await faulty.RecoversAsync();
    }
}
