using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace SignSvc.Signing.Backends.Software;

/// <summary>
/// Private keys in the clear, by handle: what signs is exactly what is stored, and of two pairs made for one version each
/// has its own. However many ask at once, a key is opened once; and once closed it stays closed, whoever was still opening
/// it or comes late with an older snapshot.
/// </summary>
public sealed class OpenKeys : IDisposable
{
    /// <summary>So many closed handles are remembered. A late caller is late by seconds, in which far fewer versions end.</summary>
    private const int Remembered = 16_384;

    private readonly ConcurrentDictionary<string, OpenKey> _keys = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _closed = new();

    /// <param name="open">Runs where the key is not open. An opening that failed is not kept: the wrapping key may be back at the next try.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.KeyNotUsable"/>: it was closed. What <paramref name="open"/> throws.</exception>
    public Task<AsymmetricAlgorithm> OpenAsync(string handle, Func<Task<AsymmetricAlgorithm>> open) =>
        _keys.GetOrAdd(handle, static _ => new OpenKey()).OpenAsync(open);

    /// <summary>Without a call to make where the key is open already.</summary>
    public AsymmetricAlgorithm? Find(string handle) => _keys.TryGetValue(handle, out var key) ? key.Key : null;

    /// <summary>When it returns, the key is let go of; where it was still being opened, as soon as it is.</summary>
    public void Close(string handle)
    {
        if (!_keys.GetOrAdd(handle, static _ => new OpenKey()).Close())
            return;
        _closed.Enqueue(handle);
        while (_closed.Count > Remembered && _closed.TryDequeue(out var oldest))
            _keys.TryRemove(oldest, out _);
    }

    public void Dispose()
    {
        foreach (var key in _keys.Values)
            key.Close();
    }

    private sealed class OpenKey
    {
        /// <summary>Guards all three.</summary>
        private readonly Lock _gate = new();
        private Task<AsymmetricAlgorithm>? _opening;
        private volatile AsymmetricAlgorithm? _key;
        private bool _isClosed;

        public AsymmetricAlgorithm? Key => _key;

        public Task<AsymmetricAlgorithm> OpenAsync(Func<Task<AsymmetricAlgorithm>> open)
        {
            lock (_gate)
            {
                if (_isClosed)
                    return Task.FromException<AsymmetricAlgorithm>(Ended());
                return _opening is null or { IsCompleted: true, IsCompletedSuccessfully: false } ? _opening = OpenUnlessClosedAsync(open) : _opening;
            }
        }

        /// <returns>Whether it was the first to do so.</returns>
        public bool Close()
        {
            lock (_gate)
            {
                if (_isClosed)
                    return false;
                _isClosed = true;
                _key?.Dispose();
                _key = null;
                return true;
            }
        }

        private async Task<AsymmetricAlgorithm> OpenUnlessClosedAsync(Func<Task<AsymmetricAlgorithm>> open)
        {
            var key = await open();
            lock (_gate)
            {
                if (!_isClosed)
                    return _key = key;
            }

            key.Dispose();
            throw Ended();
        }

        private static SigningException Ended() => new(SigningFault.KeyNotUsable, "The private key was destroyed.");
    }
}
