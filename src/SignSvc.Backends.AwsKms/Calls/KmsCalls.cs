using Amazon.KeyManagementService;
using Amazon.Runtime;
using SignSvc.Signing;
using SignSvc.Signing.Backends;

namespace SignSvc.Backends.AwsKms.Calls;

/// <summary>
/// Calls to KMS in the Regions of one backend, their faults in SignSvc's words. The SDK repeats nothing: a single call
/// is repeated by the budgets, and management calls here.
/// </summary>
internal sealed class KmsCalls(IReadOnlyDictionary<string, IAmazonKeyManagementService> clients, TimeProvider time) : IDisposable
{
    private const int MostTries = 3;

    /// <summary>New keys, aliases and replicas are known everywhere within seconds, sometimes minutes.</summary>
    private static readonly TimeSpan VisibilityPatience = TimeSpan.FromMinutes(2);

    public bool Serves(string region) => clients.ContainsKey(region);

    /// <summary>One try.</summary>
    public async Task<T> OnceAsync<T>(
        string region, Func<IAmazonKeyManagementService, CancellationToken, Task<T>> call, CancellationToken cancellationToken,
        bool isYoung = false, bool isReplica = false)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            var answer = await call(Client(region), cancellationToken);
            CallTrail.Add(Operation<T>(), (answer as AmazonWebServiceResponse)?.ResponseMetadata?.RequestId);
            return KmsFaults.IsWhole(answer) ? answer : throw KmsFaults.Hollow(region);
        }
        catch (Exception e) when (KmsFaults.IsFault(e, cancellationToken))
        {
            CallTrail.Add(Operation<T>(), (e as AmazonServiceException)?.RequestId);
            throw KmsFaults.From(e, region, isYoung, isReplica);
        }
        catch (Exception e) when (cancellationToken.IsCancellationRequested && e is not OperationCanceledException)
        {
            throw new OperationCanceledException("The call was cancelled.", e, cancellationToken);
        }
    }

    /// <summary>Up to three tries of a call that may be done twice, in so far as a lost answer is repeated too.</summary>
    public Task<T> RepeatAsync<T>(
        string region, Func<IAmazonKeyManagementService, CancellationToken, Task<T>> call, CancellationToken cancellationToken) =>
        RepeatAsync(region, call, e => e.Fault is SigningFault.Overloaded or SigningFault.BackendUnavailable, cancellationToken);

    /// <summary>Up to three tries of a call that must not be done twice: only a throttle says that it was not done.</summary>
    public Task<T> RepeatIfThrottledAsync<T>(
        string region, Func<IAmazonKeyManagementService, CancellationToken, Task<T>> call, CancellationToken cancellationToken) =>
        RepeatAsync(region, call, e => e.Fault == SigningFault.Overloaded, cancellationToken);

    /// <summary>Asks until what was made just now is known, or <see cref="VisibilityPatience"/> is over.</summary>
    public async Task<T> WhenVisibleAsync<T>(
        string region, Func<IAmazonKeyManagementService, CancellationToken, Task<T>> call, CancellationToken cancellationToken)
    {
        var from = time.GetTimestamp();
        var pause = TimeSpan.FromMilliseconds(50);
        while (true)
        {
            try
            {
                return await RepeatAsync(region, call, cancellationToken);
            }
            catch (SigningException e) when (e.Is("NotFoundException", "KMSInvalidStateException") && time.GetElapsedTime(from) < VisibilityPatience)
            {
                await Task.Delay(pause, time, cancellationToken);
                pause = pause < TimeSpan.FromSeconds(2) ? pause * 2 : pause;
            }
        }
    }

    public void Dispose()
    {
        foreach (var client in clients.Values)
            client.Dispose();
    }

    private async Task<T> RepeatAsync<T>(
        string region, Func<IAmazonKeyManagementService, CancellationToken, Task<T>> call, Func<SigningException, bool> isWorthIt,
        CancellationToken cancellationToken)
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                return await OnceAsync(region, call, cancellationToken);
            }
            catch (SigningException e) when (tries < MostTries && isWorthIt(e))
            {
                // Management quotas are few a second: a throttled call waits for the next one.
                var most = e.Fault == SigningFault.Overloaded ? 1_000 * tries : 200 * tries;
                await Task.Delay(TimeSpan.FromMilliseconds(most / 2 + System.Security.Cryptography.RandomNumberGenerator.GetInt32(most)), time, cancellationToken);
            }
        }
    }

    /// <summary>As AWS names it: the SDK names answers after operations.</summary>
    private static string Operation<T>() =>
        typeof(T).Name.EndsWith("Response", StringComparison.Ordinal) ? typeof(T).Name[..^"Response".Length] : typeof(T).Name;

    private IAmazonKeyManagementService Client(string region) =>
        clients.TryGetValue(region, out var client)
            ? client
            : throw new SigningException(SigningFault.KeyNotUsable, $"The Region {region} is not configured for this backend.");
}
