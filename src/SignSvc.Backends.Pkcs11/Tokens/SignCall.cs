using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Pkcs11.Tokens;

/// <summary>
/// One signature. Objects are used again, so that in the steady state a signature allocates its own bytes and little
/// else. The digest is copied: a caller that cancels may reuse its buffer while a worker still reads.
/// </summary>
internal sealed class SignCall : TokenCall, IValueTaskSource<BackendSignature>
{
    private readonly Pool _pool;
    private ManualResetValueTaskSourceCore<BackendSignature> _completion = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _cancellation;
    private KeyVersion? _version;
    private SigningAlgorithm? _algorithm;
    private Digest _digest;
    private bool _isUnshared;

    private SignCall(Pool pool) => _pool = pool;

    public override string Name => "sign";

    public override bool IsRepeatable => true;

    public string Handle => _version!.Handle!;

    public override string? HandleOnRecord => KeyReference.TryParseHandle(Handle, out _) ? Handle : null;

    /// <summary>Bit n: token n has no such key.</summary>
    public ulong Missing { get; set; }

    /// <summary>Bit n: token n failed at it.</summary>
    public ulong Failed { get; set; }

    public ValueTask<BackendSignature> Completion => new(this, _completion.Version);

    public override object Execute(TokenSession session)
    {
        var signature = GC.AllocateUninitializedArray<byte>(_version!.PublicKey.Spec.SignatureLength);
        session.Sign(_version, _algorithm!, ((ReadOnlySpan<byte>)_digest)[.._algorithm!.DigestLength], signature);
        return signature;
    }

    public override bool IsLastToAsk(Token at) => _pool.Router.IsLastToAsk(this, at);

    public override bool GoElsewhere(Token from) => _pool.Router.SendOn(this, from);

    public override void KeyIsMissing(Token from, KeyNotHereException why) => _pool.Router.KeyIsMissing(this, from, why.Message);

    public BackendSignature GetResult(short token)
    {
        // Waits for a cancellation that is just running, so that none reaches the next use.
        _cancellation.Dispose();
        try
        {
            return _completion.GetResult(token);
        }
        finally
        {
            if (_isUnshared)
                _pool.Return(this);
        }
    }

    public ValueTaskSourceStatus GetStatus(short token) => _completion.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _completion.OnCompleted(continuation, state, token, flags);

    protected override void OnSuccess(object? result)
    {
        _isUnshared = true;
        _completion.SetResult(new BackendSignature((byte[])result!));
    }

    protected override void OnFailure(Exception error, bool byWorker)
    {
        _isUnshared = byWorker;
        _completion.SetException(error);
    }

    private void Begin(
        KeyVersion version, SigningAlgorithm algorithm, ReadOnlySpan<byte> digest, long deadline, TimeSpan allowance,
        CancellationToken cancellationToken)
    {
        _version = version;
        _algorithm = algorithm;
        digest.CopyTo(_digest);
        Deadline = deadline;
        Allowance = allowance;
        Missing = Failed = 0;
        _cancellation = cancellationToken.UnsafeRegister(
            static (call, token) => ((SignCall)call!).TryFailFromOutside(new OperationCanceledException(token)), this);
    }

    private void Reset()
    {
        _version = null;
        _algorithm = null;
        _isUnshared = false;
        _completion.Reset();
        BeginNextUse();
    }

    /// <summary>As long as the longest digest, SHA-512's.</summary>
    [InlineArray(64)]
    private struct Digest
    {
        private byte _first;
    }

    /// <summary>Objects that wait for their next use; no more are kept than callers are likely to be at once.</summary>
    internal sealed class Pool(Pkcs11Router router)
    {
        private const int Most = 256;
        private readonly ConcurrentQueue<SignCall> _free = new();

        public Pkcs11Router Router => router;

        public SignCall Take(
            KeyVersion version, SigningAlgorithm algorithm, ReadOnlySpan<byte> digest, long deadline, TimeSpan allowance,
            CancellationToken cancellationToken)
        {
            if (!_free.TryDequeue(out var call))
                call = new SignCall(this);
            call.Begin(version, algorithm, digest, deadline, allowance, cancellationToken);
            return call;
        }

        public void Return(SignCall call)
        {
            call.Reset();
            if (_free.Count < Most)
                _free.Enqueue(call);
        }
    }
}
