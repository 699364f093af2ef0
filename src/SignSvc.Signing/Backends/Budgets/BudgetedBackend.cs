using System.Collections.Concurrent;
using System.Security.Cryptography;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Telemetry;

namespace SignSvc.Signing.Backends.Budgets;

/// <summary>
/// A backend within its budgets: every call waits its turn, ends by its deadline, and is tried again, at most
/// <see cref="BudgetOptions.MostTries"/> times in all, where that may help. Where a key has several places, the next
/// one is tried when one is down. It has all abilities; one that the backend lacks is refused as unsupported, except
/// that there is nothing to destroy or to mirror.
/// </summary>
public sealed class BudgetedBackend : IKeyBackend, IImportsKeys, IAdoptsKeys, IDestroysKeys, IWrapsKeys, IMakesWrappedKeys, IMirrorsKeys, IDisposable
{
    private readonly ConcurrentDictionary<(string Place, string Family), Budget> _budgets = new();
    private readonly IKeyBackend _inner;
    private readonly BudgetOptions _options;
    private readonly TimeProvider _time;
    private readonly string[] _home;

    /// <exception cref="ArgumentException">Lists every fault of the options.</exception>
    public BudgetedBackend(IKeyBackend inner, BudgetOptions options, TimeProvider time)
    {
        var faults = options.Validate();
        if (faults.Count > 0)
            throw new ArgumentException($"Budgets of {inner.Name}: {string.Join(" ", faults)}", nameof(options));
        _inner = inner;
        _options = options;
        _time = time;
        _home = [inner is IHasPlaces places ? places.HomePlace : ""];
    }

    public string Name => _inner.Name;

    public Protection Protection => _inner.Protection;

    public int MostTags => _inner is IMirrorsKeys mirrors ? mirrors.MostTags : TagRules.Most;

    /// <summary>The backend without budgets, for what is its own.</summary>
    public IKeyBackend Inner => _inner;

    /// <summary>The budgets that were used so far.</summary>
    public IReadOnlyList<BudgetState> Budgets =>
        [.. _budgets.Values.Select(b => b.State).OrderBy(s => s.Name, StringComparer.Ordinal)];

    public ValueTask<BackendSignature> SignAsync(
        KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken) =>
        CallAsync(
            _inner is IHasPlaces several ? several.PlacesOf(version) : _home,
            BudgetOptions.FamilyOf(algorithm),
            (place, cancel) => _inner is IHasPlaces places
                ? places.SignAtAsync(place, version, algorithm, digest, cancel)
                : _inner.SignAsync(version, algorithm, digest, cancel),
            cancellationToken);

    public Task<BackendKeyPair> CreateAsync(KeyPairRequest request, CancellationToken cancellationToken) =>
        ManageAsync(cancel => _inner.CreateAsync(request, cancel), cancellationToken);

    public Task<BackendKeyPair> ImportAsync(KeyPairRequest request, ReadOnlyMemory<byte> pkcs8, CancellationToken cancellationToken) =>
        ManageAsync(cancel => Ability<IImportsKeys>("imports no keys").ImportAsync(request, pkcs8, cancel), cancellationToken);

    public Task<BackendKeyPair> AdoptAsync(KeyPairRequest request, string reference, CancellationToken cancellationToken) =>
        ManageAsync(cancel => Ability<IAdoptsKeys>("adopts no keys").AdoptAsync(request, reference, cancel), cancellationToken);

    public Task DestroyAsync(KeyVersion version, CancellationToken cancellationToken) =>
        _inner is IDestroysKeys destroys
            ? ManageAsync(cancel => NothingAsync(destroys.DestroyAsync(version, cancel)), cancellationToken)
            : Task.CompletedTask;

    public Task MirrorAsync(Key key, bool mayEnable, CancellationToken cancellationToken) =>
        _inner is IMirrorsKeys mirrors
            ? ManageAsync(cancel => NothingAsync(mirrors.MirrorAsync(key, mayEnable, cancel)), cancellationToken)
            : Task.CompletedTask;

    public Task<byte[]> WrapAsync(ReadOnlyMemory<byte> secret, WrappingContext context, CancellationToken cancellationToken) =>
        WrapCallAsync(cancel => Ability<IWrapsKeys>("wraps no keys").WrapAsync(secret, context, cancel), cancellationToken);

    public Task<byte[]> UnwrapAsync(ReadOnlyMemory<byte> wrapped, WrappingContext context, CancellationToken cancellationToken) =>
        WrapCallAsync(cancel => Ability<IWrapsKeys>("wraps no keys").UnwrapAsync(wrapped, context, cancel), cancellationToken);

    public Task<byte[]> RewrapAsync(ReadOnlyMemory<byte> wrapped, WrappingContext context, CancellationToken cancellationToken) =>
        WrapCallAsync(cancel => Ability<IMakesWrappedKeys>("wraps no keys").RewrapAsync(wrapped, context, cancel), cancellationToken);

    /// <summary>AWS has a quota for each spec; RSA key pairs are few a second.</summary>
    public Task<WrappedKeyPair> MakeWrappedAsync(KeyPairRequest request, CancellationToken cancellationToken) =>
        CallAsync(
            _home, $"KEY_PAIR_{request.Spec}",
            (_, cancel) => new ValueTask<WrappedKeyPair>(Ability<IMakesWrappedKeys>("makes no wrapped keys").MakeWrappedAsync(request, cancel)),
            cancellationToken).AsTask();

    public void Dispose()
    {
        foreach (var budget in _budgets.Values)
            budget.Dispose();
        (_inner as IDisposable)?.Dispose();
    }

    private Task<byte[]> WrapCallAsync(Func<CancellationToken, Task<byte[]>> call, CancellationToken cancellationToken) =>
        CallAsync(_home, BudgetOptions.Symmetric, (_, cancel) => new ValueTask<byte[]>(call(cancel)), cancellationToken).AsTask();

    /// <summary>Management is not repeated here: a key made twice is a key leaked. What may be repeated, the backend repeats.</summary>
    private async Task<T> ManageAsync<T>(Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken)
    {
        using var deadline = new Deadline(CallTerms.Current.Left(_options.ManagementPatience, _time), _time, cancellationToken);
        var attempt = await AttemptAsync(
            BudgetOf(_home[0], BudgetOptions.Management),
            cancel => new ValueTask<T>(call(cancel)), deadline, isRetry: false, _options.ManagementPatience);
        return attempt.Fault is null ? attempt.Value! : throw attempt.Fault;
    }

    private async ValueTask<T> CallAsync<T>(
        IReadOnlyList<string> places, string family, Func<string, CancellationToken, ValueTask<T>> call, CancellationToken cancellationToken)
    {
        using var deadline = new Deadline(CallTerms.Current.Left(_options.UsualPatience, _time), _time, cancellationToken);
        var (tries, refusals, at) = (0, 0, 0);
        while (true)
        {
            var place = places[at % places.Count];
            var attempt = await AttemptAsync(
                BudgetOf(place, family), cancel => call(place, cancel), deadline, isRetry: tries > 0, _options.TryTimeout);
            if (attempt.Fault is not { } fault)
                return attempt.Value!;

            var isDown = fault.Fault == SigningFault.BackendUnavailable;
            if (!attempt.WasTried)
            {
                // What the breaker refuses costs no try; each place may refuse once.
                if (!isDown || ++refusals >= places.Count)
                    throw fault;
                at++;
                continue;
            }

            refusals = 0;
            if (++tries >= _options.MostTries || !(isDown || fault.Fault == SigningFault.Overloaded))
                throw fault;
            if (isDown && places.Count > 1)
                at++;
            else
                await PauseAsync(tries, deadline, fault);
        }
    }

    private async ValueTask<Attempt<T>> AttemptAsync<T>(
        Budget budget, Func<CancellationToken, ValueTask<T>> call, Deadline deadline, bool isRetry, TimeSpan tryTimeout)
    {
        bool isProbe;
        try
        {
            using var waiting = SigningSpans.Start(SigningSpans.Budget);
            waiting?.SetTag(Tags.Budget, budget.Name);
            isProbe = await budget.EnterAsync(CallTerms.Current.Lane, deadline.Left, isRetry, deadline.Token);
        }
        catch (SigningException refused)
        {
            return new Attempt<T>(refused, WasTried: false);
        }
        catch (OperationCanceledException e) when (!deadline.CallerLeft)
        {
            return new Attempt<T>(
                new SigningException(SigningFault.Overloaded, $"{budget.Name} had no turn for this call before its deadline.", e)
                {
                    RetryAfter = TimeSpan.FromSeconds(1),
                },
                WasTried: false);
        }

        var outcome = TryOutcome.Undecided;
        var from = _time.GetTimestamp();
        using var timeout = new CancellationTokenSource(tryTimeout, _time);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, deadline.Token);
        try
        {
            var value = await call(ending.Token);
            outcome = TryOutcome.Answered;
            SigningMeters.BackendTried(budget.Name, isRetry, fault: null);
            return new Attempt<T>(value);
        }
        catch (SigningException e)
        {
            outcome = e.Fault switch
            {
                _ when e.BackendAnswered => TryOutcome.Answered,
                SigningFault.Overloaded => TryOutcome.Throttled,
                SigningFault.BackendUnavailable => TryOutcome.Failed,
                _ => TryOutcome.Answered,
            };
            SigningMeters.BackendTried(budget.Name, isRetry, e.Fault);
            return new Attempt<T>(e, WasTried: true);
        }
        catch (OperationCanceledException e) when (!deadline.CallerLeft)
        {
            // A caller with hardly any patience shall not make the backend look down.
            outcome = _time.GetElapsedTime(from) >= tryTimeout / 2 ? TryOutcome.Failed : TryOutcome.Undecided;
            // By the timer or by the clock: a timer may be a millisecond early, and of two that are due the try's may fire first.
            var isLate = deadline.Token.IsCancellationRequested || deadline.Left == TimeSpan.Zero;
            var fault = isLate ? SigningFault.DeadlineExceeded : SigningFault.BackendUnavailable;
            SigningMeters.BackendTried(budget.Name, isRetry, fault);
            return new Attempt<T>(new SigningException(fault, $"{budget.Name} did not answer in time.", e), WasTried: true);
        }
        finally
        {
            budget.Leave(outcome, isProbe, _time.GetElapsedTime(from));
        }
    }

    /// <summary>Full jitter: anything from nothing to the doubled pause. Where the deadline comes first, the fault stands.</summary>
    private async Task PauseAsync(int tries, Deadline deadline, SigningException fault)
    {
        var most = _options.FirstPause * (1 << (tries - 1));
        var pause = most * (RandomNumberGenerator.GetInt32(1_000_000) / 1_000_000.0);
        if (pause >= deadline.Left)
            throw fault;
        try
        {
            await Task.Delay(pause, _time, deadline.Token);
        }
        catch (OperationCanceledException) when (!deadline.CallerLeft)
        {
            throw fault;
        }
    }

    private TAbility Ability<TAbility>(string lack)
        where TAbility : class =>
        _inner as TAbility ?? throw new SigningException(SigningFault.Unsupported, $"The backend {Name} {lack}.");

    private static async Task<bool> NothingAsync(Task task)
    {
        await task;
        return true;
    }

    private Budget BudgetOf(string place, string family) => _budgets.GetOrAdd(
        (place, family),
        static (key, self) => new Budget(
            key.Place.Length == 0 ? $"{self.Name}/{key.Family}" : $"{self.Name}/{key.Place}/{key.Family}",
            self._options.LimitsOf(key.Family),
            self._time),
        this);

    /// <param name="WasTried">The backend was asked; else the budget refused.</param>
    private readonly record struct Attempt<T>(T? Value, SigningException? Fault, bool WasTried)
    {
        public Attempt(T value) : this(value, Fault: null, WasTried: true)
        {
        }

        public Attempt(SigningException fault, bool WasTried) : this(default, fault, WasTried)
        {
        }
    }
}
