using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Access.Grants;

/// <summary>A grant of which a use has to be spent, and the request that it is spent for.</summary>
internal sealed record CountedUse(Grant Grant, AccessRequest Request);

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

    /// <summary>Where others took the last use since it was decided, it is decided anew: another grant may allow it, too.</summary>
    /// <returns>The permit under which it goes on.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.Forbidden"/>: others were faster, and nothing else allows it.</exception>
    public async ValueTask<Permit> SpendAsync(Permit permit, CancellationToken cancellationToken)
    {
        for (var attempt = 1; permit.Use is { } use; attempt++)
        {
            if (await TrySpendAsync(permit.Caller, use.Grant.Id, cancellationToken))
                return permit;
            if (attempt == Attempts)
                throw AccessPolicy.Forbidden($"{permit.By} has no uses left.");
            // This node's snapshot knows by now that it is spent. Limits were taken already, and are not again.
            var again = live.Current.Access.Authorise(use.Request);
            permit = permit.Approval is { } approval ? again.With(approval) : again;
        }

        return permit;
    }

    private async Task<bool> TrySpendAsync(Caller caller, string grantId, CancellationToken cancellationToken)
    {
        var waiter = new Waiter(caller);
        lock (_gate)
        {
            if (_waiting.TryGetValue(grantId, out var others))
            {
                others.Add(waiter);
            }
            else
            {
                _waiting[grantId] = [waiter];
                _ = Task.Run(() => ServeAsync(grantId), CancellationToken.None);
            }
        }

        return await waiter.IsSpent.Task.WaitAsync(cancellationToken);
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
