using System.Collections.Concurrent;
using SignSvc.Signing.Access.Policies;

namespace SignSvc.Signing.Access.Limits;

/// <summary>
/// The budgets of callers and keys on this node. Callers are strangers' to choose in number, so theirs are kept in two
/// generations of a bounded size: whoever comes while the younger one fills is kept, and who did not come for a whole
/// generation of others begins anew. Nothing is locked but when generations change.
/// </summary>
internal sealed class CallerBudgets(TimeProvider time)
{
    /// <summary>Of a generation. A budget with its names is about 300 bytes, so that both are 20 MiB at the most.</summary>
    public const int MaxInGeneration = 32_768;

    /// <summary>Beside callers: their number is that of keys and statements, and no caller's to choose.</summary>
    private readonly ConcurrentDictionary<Place, CallerBudget> _ofKeys = new();
    private readonly Lock _gate = new();
    private volatile Generation _young = new();
    private volatile Generation _old = new();

    /// <summary>Budgets that are kept of callers.</summary>
    public int Kept => _young.Budgets.Count + _old.Budgets.Count;

    /// <summary>Takes one request from every limit that it falls under, or from none.</summary>
    /// <param name="isDecided">What is asked for was allowed: then the limits count that depend on what it is.</param>
    /// <returns>The limit that refuses, and how long to wait; null: none does.</returns>
    public (CompiledStatement Limit, TimeSpan Wait)? Take(CompiledStatement[] limits, in AccessRequest request, bool isDecided)
    {
        var steady = time.GetElapsedTime(0, time.GetTimestamp()).Ticks;
        var second = request.At.ToUnixTimeSeconds();
        for (var i = 0; i < limits.Length; i++)
        {
            if (!IsUnder(limits[i], request, isDecided) || Of(limits[i], request).Take(limits[i].Limit!, steady, second) is not { } wait)
                continue;
            Return(limits.AsSpan(0, i), request, isDecided);
            return (limits[i], wait);
        }

        return null;
    }

    /// <summary>Gives back what <see cref="Take"/> took for a request that another limit refused.</summary>
    public void Return(ReadOnlySpan<CompiledStatement> limits, in AccessRequest request, bool isDecided)
    {
        var second = request.At.ToUnixTimeSeconds();
        foreach (var limit in limits)
        {
            if (IsUnder(limit, request, isDecided))
                Of(limit, request).Return(limit.Limit!, second);
        }
    }

    /// <summary>What is left of every limit that the request falls under.</summary>
    public IEnumerable<LimitStanding> Standing(CompiledStatement[] limits, AccessRequest request)
    {
        var steady = time.GetElapsedTime(0, time.GetTimestamp()).Ticks;
        var second = request.At.ToUnixTimeSeconds();
        return limits
            .Where(l => l.Matches(request))
            .Select(l => new LimitStanding(l.Name, l.Limit!, Of(l, request).Available(l.Limit!, steady, second)));
    }

    private static bool IsUnder(CompiledStatement limit, in AccessRequest request, bool isDecided) =>
        limit.IsOfCallerAlone != isDecided && limit.Matches(request);

    private CallerBudget Of(CompiledStatement limit, in AccessRequest request)
    {
        var key = request.Facts.Key?.Id;
        return limit.Limit!.Per switch
        {
            LimitShare.Key => _ofKeys.GetOrAdd(new Place(limit.Name, Principal: null, key), static _ => new CallerBudget()),
            LimitShare.CallerAndKey => OfCaller(new Place(limit.Name, request.Caller.Principal, key)),
            _ => OfCaller(new Place(limit.Name, request.Caller.Principal, KeyId: null)),
        };
    }

    private CallerBudget OfCaller(in Place place)
    {
        var young = _young;
        if (young.Budgets.TryGetValue(place, out var budget))
            return budget;
        if (!_old.Budgets.TryGetValue(place, out budget))
            budget = new CallerBudget();
        budget = young.Budgets.GetOrAdd(place, budget);
        if (Interlocked.Increment(ref young.Added) >= MaxInGeneration)
            Age(young);
        return budget;
    }

    private void Age(Generation full)
    {
        lock (_gate)
        {
            if (_young != full)
                return;
            _old = full;
            _young = new Generation();
        }
    }

    /// <param name="Limit">The statement's name: a policy that is written anew goes on counting where it stood.</param>
    /// <param name="KeyId">Null also where a request is about no key.</param>
    private readonly record struct Place(string Limit, string? Principal, string? KeyId);

    private sealed class Generation
    {
        /// <summary>Counting a concurrent dictionary takes all its locks.</summary>
        public int Added;

        public ConcurrentDictionary<Place, CallerBudget> Budgets { get; } = new();
    }
}
