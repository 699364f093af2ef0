using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Backends.Budgets;

/// <summary>The budgets of one backend: limits by family, and what one call may take.</summary>
public sealed record BudgetOptions
{
    /// <summary>Wrapping and unwrapping.</summary>
    public const string Symmetric = "SYMMETRIC";

    /// <summary>Making, importing, adopting, ending keys.</summary>
    public const string Management = "MANAGEMENT";

    /// <summary>Limits for a family: <c>RSA</c>, <c>ECC</c>, <see cref="Symmetric"/>, <see cref="Management"/>.</summary>
    public IReadOnlyDictionary<string, BudgetLimits> Families { get; init; } =
        new Dictionary<string, BudgetLimits>(StringComparer.Ordinal);

    /// <summary>For families that <see cref="Families"/> does not name.</summary>
    public BudgetLimits Others { get; init; } = new();

    /// <summary>Deadline of a call whose caller names none.</summary>
    public TimeSpan UsualPatience { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The same for management calls: they are several calls, and some make RSA keys.</summary>
    public TimeSpan ManagementPatience { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>After this long a try counts as lost. Above the slowest honest answer, below a third of the deadline if all tries shall have their chance.</summary>
    public TimeSpan TryTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Tries of one call, over all places together.</summary>
    public int MostTries { get; init; } = 3;

    /// <summary>Upper end of the first random pause between tries; it doubles with each.</summary>
    public TimeSpan FirstPause { get; init; } = TimeSpan.FromMilliseconds(100);

    public static string FamilyOf(SigningAlgorithm algorithm) => algorithm.Family == KeyFamily.Rsa ? "RSA" : "ECC";

    public BudgetLimits LimitsOf(string family) => Families.GetValueOrDefault(family, Others);

    /// <summary>Every fault at once; empty where the options hold.</summary>
    public IReadOnlyList<string> Validate()
    {
        var faults = new List<string>(Others.Validate());
        foreach (var (family, limits) in Families)
            faults.AddRange(limits.Validate().Select(fault => $"{family}: {fault}"));
        if (UsualPatience <= TimeSpan.Zero || UsualPatience > TimeSpan.FromMinutes(5))
            faults.Add($"{nameof(UsualPatience)} must be above 0 and at most 5 minutes.");
        if (ManagementPatience < UsualPatience || ManagementPatience > TimeSpan.FromMinutes(30))
            faults.Add($"{nameof(ManagementPatience)} must be {nameof(UsualPatience)} to 30 minutes.");
        if (TryTimeout <= TimeSpan.Zero || TryTimeout > UsualPatience)
            faults.Add($"{nameof(TryTimeout)} must be above 0 and at most {nameof(UsualPatience)}.");
        if (MostTries is < 1 or > 3)
            faults.Add($"{nameof(MostTries)} must be 1 to 3.");
        if (FirstPause < TimeSpan.Zero || FirstPause > UsualPatience)
            faults.Add($"{nameof(FirstPause)} must be 0 to {nameof(UsualPatience)}.");
        return faults;
    }
}
