using System.Security.Cryptography;
using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Backends.Pkcs11.Keys;
using SignSvc.Backends.Pkcs11.Tokens;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Pkcs11;

/// <summary>
/// Keys in tokens behind one PKCS#11 module. New keys and the wrapping key are made on the first token that is ready;
/// bringing them to the others is the vendor's cloning. An imported key goes to all tokens or to none, and destroying
/// asks all of them. Signing goes to every token that holds the key (<see cref="Pkcs11Router"/>).
/// </summary>
public sealed class Pkcs11Backend : IKeyBackend, IImportsKeys, IAdoptsKeys, IDestroysKeys, IWrapsKeys, IDisposable
{
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(2);

    private readonly Pkcs11Options _options;
    private readonly TimeProvider _time;
    private readonly CryptokiModule _module;
    private readonly Token[] _tokens;
    private readonly Pkcs11Router _router;
    private readonly SignCall.Pool _calls;
    private readonly TimeSpan _operationAllowance;
    private readonly TimeSpan _keyAllowance;
    private readonly long _operationTicks;
    private bool _disposed;

    /// <summary>
    /// Loads the module and begins to connect; a token that is away is no fault here (<see cref="Status"/>,
    /// <see cref="ConnectAsync"/>).
    /// </summary>
    /// <exception cref="System.ComponentModel.DataAnnotations.ValidationException">The options, with all their faults.</exception>
    /// <exception cref="SigningException"><see cref="SigningFault.BackendFailed"/>: the library is no PKCS#11 module.</exception>
    public Pkcs11Backend(Pkcs11Options options, TimeProvider time)
    {
        options.ThrowIfInvalid();
        _options = options;
        _time = time;
        _operationAllowance = TimeSpan.FromMilliseconds(options.OperationDeadlineMilliseconds);
        _keyAllowance = TimeSpan.FromMilliseconds(options.KeyGenerationDeadlineMilliseconds);
        _operationTicks = (long)(_operationAllowance.TotalSeconds * time.TimestampFrequency);
        _module = CryptokiModule.Load(options.ModulePath, options.InitializationParameters);
        _tokens = [.. options.Tokens.Select(token => new Token(_module, options, token, time))];
        _router = new Pkcs11Router(_tokens, time);
        _calls = new SignCall.Pool(_router);
    }

    public string Name => "pkcs11";

    /// <summary>Software while every token that was seen says it is (no CKF_HW_SLOT) and none is trusted to be more.</summary>
    public Protection Protection =>
        _options.TrustAsHardware || _tokens.Any(t => t.Connection is not { IsHardware: false }) ? Protection.Hsm : Protection.Software;

    public IReadOnlyList<Pkcs11TokenStatus> Status => [.. _tokens.Select(t => t.Status)];

    /// <summary>Waits until every token is connected, or throws why the first one is not.</summary>
    /// <exception cref="SigningException">As for any call to that token.</exception>
    public async Task ConnectAsync(CancellationToken cancellationToken)
    {
        foreach (var token in _tokens)
            await OnAsync(token, "connect", isRepeatable: true, static _ => true, _operationAllowance, cancellationToken);
    }

    public Task<BackendKeyPair> CreateAsync(KeyPairRequest request, CancellationToken cancellationToken)
    {
        var temporaryId = RandomNumberGenerator.GetBytes(20);
        return OnAsync(
            FirstReady(), "generate a key", isRepeatable: false,
            session => TokenKeys.Generate(session, request, temporaryId), _keyAllowance, cancellationToken,
            undo: static (session, pair) => TokenKeys.DestroyAll(session, KeyReference.Parse(pair.Handle)));
    }

    public ValueTask<BackendSignature> SignAsync(
        KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken)
    {
        if (digest.Length != algorithm.DigestLength)
            return Refuse(SigningFault.InvalidDigest, $"{algorithm} signs digests of {algorithm.DigestLength} bytes.");
        if (!version.PublicKey.Spec.CanSignWith(algorithm))
            return Refuse(SigningFault.AlgorithmMismatch, $"A key of spec {version.PublicKey.Spec} does not sign with {algorithm}.");
        if (version.Handle is null)
            return Refuse(SigningFault.KeyNotUsable, "The private key is destroyed.");
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled<BackendSignature>(cancellationToken);

        var call = _calls.Take(
            version, algorithm, digest.Span, _time.GetTimestamp() + _operationTicks, _operationAllowance, cancellationToken);
        var completion = call.Completion;
        _router.Send(call);
        return completion;
    }

    public async Task<BackendKeyPair> AdoptAsync(KeyPairRequest request, string reference, CancellationToken cancellationToken)
    {
        var parsed = KeyReference.Parse(reference);
        return await AnyHolderAsync(
            "adopt a key", isRepeatable: true, session => TokenKeys.Adopt(session, request.Spec, parsed), SigningFault.NotFound,
            cancellationToken);
    }

    public async Task<BackendKeyPair> ImportAsync(
        KeyPairRequest request, ReadOnlyMemory<byte> pkcs8, CancellationToken cancellationToken)
    {
        using var key = new ImportedKey(pkcs8.Span, request.Spec);
        var imports = Array.ConvertAll(_tokens, _ => new TokenImport(request, key));
        var imported = new List<BackendKeyPair>();
        try
        {
            foreach (var (token, import) in _tokens.Zip(imports))
            {
                // Shielded from cancellation: the key is zeroed when this method ends, and no worker may read it then.
                imported.Add(await OnAsync(
                    token, "import a key", isRepeatable: true, import.Run, _keyAllowance, CancellationToken.None,
                    undo: (session, _) => import.Undo(session)));
                cancellationToken.ThrowIfCancellationRequested();
            }

            return imported.MinBy(i => i.Protection)! with { WasThere = imported.Exists(i => i.WasThere) };
        }
        catch
        {
            foreach (var (token, import) in _tokens.Zip(imports).Where(i => i.Second.MayHaveMade))
                await TryUndoAsync(token, import);
            throw;
        }
    }

    /// <summary>A token that cannot be asked keeps what it has, and the caller learns the first fault, not this one.</summary>
    private async Task TryUndoAsync(Token token, TokenImport import)
    {
        try
        {
            await OnAsync(
                token, "undo an import", isRepeatable: true, session => { import.Undo(session); return true; }, _operationAllowance,
                CancellationToken.None);
        }
        catch (SigningException)
        {
            // Said above.
        }
    }

    public async Task DestroyAsync(KeyVersion version, CancellationToken cancellationToken)
    {
        // As with AWS KMS, what was adopted is its owner's: the service only ceases to use it.
        if (version.Origin == KeyOrigin.Adopted || version.Handle is null || !KeyReference.TryParseHandle(version.Handle, out var reference))
            return;
        foreach (var token in _tokens)
        {
            await OnAsync(
                token, "destroy a key", isRepeatable: true,
                session => { TokenKeys.Destroy(session, version, reference); return true; }, _operationAllowance, cancellationToken);
            token.ForgetKeys();
        }
    }

    /// <summary>The private keys on a token, ours and others'.</summary>
    public async Task<IReadOnlyList<Pkcs11Key>> ListAsync(CancellationToken cancellationToken)
    {
        var all = new List<Pkcs11Key>();
        foreach (var token in _tokens)
        {
            all.AddRange(await OnAsync(
                token, "list its keys", isRepeatable: true, Pkcs11Key.List, _keyAllowance, cancellationToken));
        }

        return all;
    }

    public Task<byte[]> WrapAsync(ReadOnlyMemory<byte> secret, WrappingContext context, CancellationToken cancellationToken)
    {
        // A copy, zeroed by the worker's thread: a caller that cancels may zero or reuse its own while a worker reads.
        var copy = GC.AllocateUninitializedArray<byte>(secret.Length, pinned: true);
        secret.Span.CopyTo(copy);
        return OnAsync(
            FirstReady(), "wrap", isRepeatable: true,
            session => TokenWrapping.Wrap(session, _options, copy, context.ToAssociatedData()), _operationAllowance, cancellationToken,
            atEnd: () => CryptographicOperations.ZeroMemory(copy));
    }

    public Task<byte[]> UnwrapAsync(ReadOnlyMemory<byte> wrapped, WrappingContext context, CancellationToken cancellationToken)
    {
        var copy = wrapped.ToArray();
        return AnyHolderAsync(
            "unwrap", isRepeatable: true,
            session => TokenWrapping.Unwrap(session, copy, context.ToAssociatedData()), SigningFault.BackendFailed, cancellationToken,
            handleOnRecord: _tokens.Length == 1 ? TokenWrapping.HandleOf(copy) : null);
    }

    /// <summary>Ends the workers, logs out by closing every session, and finalises the module where nobody hangs in it.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        var quiet = true;
        foreach (var token in _tokens)
            quiet &= token.Stop(StopPatience);
        _module.Release(finalize: quiet);
    }

    private Token FirstReady() => Array.Find(_tokens, t => t.IsSound) ?? _tokens[0];

    /// <summary>The first token that has what the body looks for answers. A token that cannot be asked leaves the question open.</summary>
    private async Task<T> AnyHolderAsync<T>(
        string name, bool isRepeatable, Func<TokenSession, T> body, SigningFault whenNowhere, CancellationToken cancellationToken,
        string? handleOnRecord = null)
    {
        SigningException? unasked = null;
        string? missing = null;
        foreach (var token in _tokens)
        {
            try
            {
                return await OnAsync(
                    token, name, isRepeatable, body, _operationAllowance, cancellationToken, handleOnRecord: handleOnRecord);
            }
            catch (SigningException e) when (e.Fault == SigningFault.KeyNotUsable && e.InnerException is KeyNotHereException)
            {
                missing = e.Message;
            }
            catch (SigningException e) when (e.Fault is SigningFault.BackendUnavailable or SigningFault.Overloaded && _tokens.Length > 1)
            {
                unasked = e;
            }
        }

        throw unasked ?? new SigningException(whenNowhere, missing!);
    }

    private async Task<T> OnAsync<T>(
        Token token, string name, bool isRepeatable, Func<TokenSession, T> body, TimeSpan allowance,
        CancellationToken cancellationToken, Action? atEnd = null, Action<TokenSession, T>? undo = null, string? handleOnRecord = null)
    {
        var deadline = _time.GetTimestamp() + (long)(allowance.TotalSeconds * _time.TimestampFrequency);
        var call = new TaskCall<T>(name, isRepeatable, body, deadline, allowance, undo, handleOnRecord);
        await using var cancellation = cancellationToken.UnsafeRegister(
            static (call, canceled) => ((TokenCall)call!).TryFailFromOutside(new OperationCanceledException(canceled)), call);
        if (token.Submit(call) is { } refusal)
            call.TryFail(refusal);
        try
        {
            return await call.Completion;
        }
        finally
        {
            atEnd?.Invoke();
        }
    }

    private static ValueTask<BackendSignature> Refuse(SigningFault fault, string message) =>
        ValueTask.FromException<BackendSignature>(new SigningException(fault, message));
}
