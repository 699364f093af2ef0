using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Access.Grants;

/// <summary>
/// Spends the uses of grants that have a bound. A use is durable before the backend is asked, so that over all nodes, and
/// over crashes, never more signatures are made than the grant allows. Where nothing fails between the two, it is exactly
/// as many; a signature that fails after its use was spent costs that use.
/// </summary>
/// <remarks>Those who wait for one grant are served by one commit, so that a batch costs a few commits and not one for each item.</remarks>
internal sealed class GrantUses(LiveSnapshot live, Decisions decisions)
{
    private const int Attempts = 64;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, List<Waiter>> _waiting = new(StringComparer.Ordinal);

    /// <exception cref="SigningException"><see cref="SigningFault.Forbidden"/>: others were faster, and none is left.</exception>
    public async Task SpendAsync(Permit permit, CancellationToken cancellationToken)
    {
        if (permit.Grant is not { MaxUses: not null } grant)
            return;
        var waiter = new Waiter(permit.Caller);
        lock (_gate)
        {
            if (_waiting.TryGetValue(grant.Id, out var others))
            {
                others.Add(waiter);
            }
            else
            {
                _waiting[grant.Id] = [waiter];
                _ = Task.Run(() => ServeAsync(grant.Id), CancellationToken.None);
            }
        }

        if (!await waiter.IsSpent.Task.WaitAsync(cancellationToken))
            throw AccessPolicy.Forbidden($"{permit.By} has no uses left.");
    }

    /// <summary>Goes on while somebody waits for the grant.</summary>
    private async Task ServeAsync(string grantId)
    {
        while (true)
        {
            List<Waiter> served;
            lock (_gate)
            {
                served = _waiting[grantId];
                if (served.Count == 0)
                {
                    _waiting.Remove(grantId);
                    return;
                }

                _waiting[grantId] = [];
            }

            try
            {
                var spent = await CommitAsync(grantId, served);
                for (var i = 0; i < served.Count; i++)
                    served[i].IsSpent.TrySetResult(i < spent);
            }
            catch (Exception e)
            {
                // Whatever it was, it is the waiters' to tell: nobody else listens here.
                foreach (var waiter in served)
                    waiter.IsSpent.TrySetException(e);
            }
        }
    }

    /// <returns>How many uses were left for them.</returns>
    private async Task<int> CommitAsync(string grantId, List<Waiter> waiters)
    {
        for (var attempt = 1; ; attempt++)
        {
            var basis = live.Current;
            if (!basis.Grants.TryGetValue(grantId, out var grant))
                return 0;
            var spent = Math.Min(waiters.Count, (grant.MaxUses ?? int.MaxValue) - grant.Uses);
            if (spent <= 0)
                return 0;
            var permit = new Permit(waiters[0].Caller, Actions.GrantsUse, Ruling.Allowed($"grant/{grantId}"));
            var record = decisions.Draft(permit.Caller, permit.Action, $"grant/{grantId}") with
            {
                KeyId = grant.KeyId,
                Detail = $"{spent} uses spent, {grant.MaxUses - grant.Uses - spent} left",
            };
            try
            {
                await live.ChangeAsync(permit, record, CancellationToken.None, (grant with { Uses = grant.Uses + spent }).Put(basis));
                return spent;
            }
            catch (SigningException e) when (e.Fault == SigningFault.Conflict && attempt < Attempts)
            {
                await live.RefreshAsync(CancellationToken.None);
            }
        }
    }

    private sealed record Waiter(Caller Caller)
    {
        public TaskCompletionSource<bool> IsSpent { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
