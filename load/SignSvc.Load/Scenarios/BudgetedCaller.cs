using System.Globalization;
using SignSvc.Load.Calls;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Scenarios;

/// <summary>What a policy leaves a caller.</summary>
/// <param name="Burst">What may come at once.</param>
internal sealed record CallerBudget(double PerSecond, int Burst);

/// <summary>A signer with a credential of its own.</summary>
internal static class BudgetedCaller
{
    /// <param name="name">Made unique for each run: credentials' names are never used twice.</param>
    /// <param name="budget">Null: it may ask as often as it likes.</param>
    public static async Task<ServiceCalls> MakeAsync(ServiceTarget service, string name, CallerBudget? budget, CancellationToken cancellationToken)
    {
        var unique = $"{name}-{TimeProvider.System.GetUtcNow().ToUnixTimeSeconds()}";
        var caller = await service.WithRoleAsync(unique, "signer", cancellationToken);
        if (budget is not null)
            await service.MustAsync(service.Admin.PutPolicy(unique, Limit(unique, budget)), cancellationToken);
        return caller;
    }

    private static string Limit(string credential, CallerBudget budget) => string.Create(CultureInfo.InvariantCulture, $$"""
        {"statements":[{"sid":"share","effect":"limit","principals":["credential:{{credential}}"],"actions":["keys:*","tokens:*"],"resources":["*"],
          "limit":{"per":"caller","perSecond":{{budget.PerSecond}},"burst":{{budget.Burst}}} }]}
        """);
}
