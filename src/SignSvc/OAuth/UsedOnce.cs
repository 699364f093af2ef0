using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using SignSvc.Signing;
using SignSvc.Signing.Storage;

namespace SignSvc.OAuth;

/// <summary>What callers may use once, under a hash of what they chose: its length and its content are ours.</summary>
internal sealed class UsedOnce(IUseOnce store)
{
    /// <exception cref="SigningException"><see cref="SigningFault.StoreUnavailable"/>: it may count as used.</exception>
    public Task<bool> TryUseAsync(string scope, string[] parts, DateTimeOffset until, CancellationToken cancellationToken) =>
        store.TryUseAsync(scope, Id(parts), until, cancellationToken);

    public Task<bool> WasUsedAsync(string scope, string[] parts, CancellationToken cancellationToken) =>
        store.WasUsedAsync(scope, Id(parts), cancellationToken);

    /// <summary>Each part with its length before it, so that no two lists read alike.</summary>
    private static string Id(string[] parts)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var part in parts)
        {
            var bytes = Encoding.UTF8.GetBytes(part);
            hash.AppendData(BitConverter.GetBytes(bytes.Length));
            hash.AppendData(bytes);
        }

        return Base64Url.EncodeToString(hash.GetHashAndReset());
    }
}

/// <summary>Forgets what was used once and would be refused for its age by now.</summary>
internal sealed partial class UsedOnceService(IUseOnce store, TimeProvider time, ILogger<UsedOnceService> log) : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromMinutes(1);

    /// <summary>For a node whose clock is behind.</summary>
    private static readonly TimeSpan Margin = TimeSpan.FromMinutes(5);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Period, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                while (await store.ForgetAsync(time.GetUtcNow() - Margin, stoppingToken) > 0)
                {
                    // A bounded piece at a time, so that the audit gets its turns.
                }
            }
            catch (SigningException e)
            {
                LogLeft(e.Message);
            }
        }
    }

    [LoggerMessage(1301, LogLevel.Warning, "What was used once is not tidied up now ({Reason}); it will be tried again")]
    private partial void LogLeft(string reason);
}
