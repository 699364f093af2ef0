using System.Collections.Immutable;
using SignSvc.Signing;

namespace SignSvc.Http;

/// <summary>A batch is processed item by item: one that cannot even be read is a problem of its own, not of the others.</summary>
internal static class Batches
{
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: empty, or more than <paramref name="max"/>.</exception>
    public static ImmutableArray<T> Check<T>(ImmutableArray<T> items, int max) =>
        items is { IsDefaultOrEmpty: false } && items.Length <= max && items.All(i => i is not null)
            ? items
            : throw new SigningException(SigningFault.InvalidRequest, $"items holds from 1 to {max} objects.");

    public static Outcome<TRequest>[] Parse<TItem, TRequest>(ImmutableArray<TItem> items, Func<TItem, TRequest> parse)
        where TRequest : class
    {
        var parsed = new Outcome<TRequest>[items.Length];
        for (var i = 0; i < items.Length; i++)
        {
            try
            {
                parsed[i] = new Outcome<TRequest>(parse(items[i]), Refusal: null);
            }
            catch (SigningException e)
            {
                parsed[i] = new Outcome<TRequest>(Answer: null, e);
            }
        }

        return parsed;
    }

    public static IReadOnlyList<TRequest> Valid<TRequest>(Outcome<TRequest>[] parsed)
        where TRequest : class =>
        parsed.Where(p => p.IsAnswer).Select(p => p.Answer!).ToArray();

    /// <summary>Puts the outcomes of the valid items back in their places.</summary>
    public static ImmutableArray<TResult> Merge<TRequest, TAnswer, TResult>(
        Outcome<TRequest>[] parsed, Outcome<TAnswer>[] outcomes, Func<int, TAnswer, TResult> answer, Func<SigningException, TResult> refuse)
        where TRequest : class
        where TAnswer : class
    {
        var results = ImmutableArray.CreateBuilder<TResult>(parsed.Length);
        var next = 0;
        for (var i = 0; i < parsed.Length; i++)
        {
            if (!parsed[i].IsAnswer)
            {
                results.Add(refuse(parsed[i].Refusal!));
                continue;
            }

            var outcome = outcomes[next++];
            results.Add(outcome.IsAnswer ? answer(i, outcome.Answer) : refuse(outcome.Refusal));
        }

        return results.MoveToImmutable();
    }
}
