using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Backends;

/// <summary>
/// The way of a signature by a key that was enabled here a moment ago: a backend that keeps a state of its own follows
/// within seconds (<see cref="IMirrorsKeys"/>), and until then its refusal is not the key's.
/// </summary>
internal static class FollowingBackend
{
    /// <summary>After this a refusal stands: whoever disabled the key at its backend did so since.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(15);

    /// <summary>Where the caller names no deadline.</summary>
    private static readonly TimeSpan UsualPatience = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    /// <inheritdoc cref="IKeyBackend.SignAsync"/>
    /// <exception cref="SigningException"><see cref="SigningFault.BackendUnavailable"/>, with the time to wait: it has not followed within the deadline.</exception>
    public static async ValueTask<BackendSignature> SignAsync(
        BackendSet backends, Key key, KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, TimeProvider time,
        CancellationToken cancellationToken)
    {
        var from = time.GetTimestamp();
        SigningException? notYet = null;
        while (true)
        {
            var asked = time.GetTimestamp();
            try
            {
                if (notYet is not null)
                {
                    await Task.Delay(Pause, time, cancellationToken);
                    asked = time.GetTimestamp();
                }

                return await backends.SigningFor(key).SignAsync(version, algorithm, digest, cancellationToken);
            }
            catch (SigningException e) when (e.Fault == SigningFault.KeyNotUsable && MayFollow(backends, key, time))
            {
                notYet = new SigningException(SigningFault.BackendUnavailable, $"{key.Name} was enabled a moment ago, and {key.Backend} does not know it yet.", e)
                {
                    RetryAfter = TimeSpan.FromSeconds(1),
                };
                // No try is begun that the deadline would cut off. The next may take a pause longer than the last.
                if (Left() <= Pause + Pause + time.GetElapsedTime(asked))
                    throw notYet;
            }
            catch (Exception e) when (notYet is not null && IsLate(e))
            {
                // What was late says less than the answer before it.
                throw notYet;
            }
        }

        TimeSpan Left() => CallTerms.Current.Left(UsualPatience - time.GetElapsedTime(from), time);

        bool IsLate(Exception e) =>
            e is SigningException { Fault: SigningFault.DeadlineExceeded } || (e is OperationCanceledException && Left() <= TimeSpan.Zero);
    }

    private static bool MayFollow(BackendSet backends, Key key, TimeProvider time) =>
        key.StateChangedAt is { } changed && time.GetUtcNow() - changed is var since && since >= -KeySchedule.Skew && since < Longest
        && backends.Find(key.Tier, key.Backend) is BudgetedBackend { Inner: IMirrorsKeys } or (IMirrorsKeys and not BudgetedBackend);
}
