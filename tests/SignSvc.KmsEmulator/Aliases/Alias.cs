using System.Text.Json.Serialization;
using SignSvc.Emulation.Keys;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Aliases;

/// <summary>
/// A name for a key. A change shows only from <see cref="ChangedFrom"/> on; until then the old target answers.
/// </summary>
internal sealed class Alias
{
    public const string Prefix = "alias/";

    public required string AccountId { get; init; }

    public required string Region { get; init; }

    /// <summary>With its prefix <c>alias/</c>.</summary>
    public required string Name { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset UpdatedAt { get; set; }

    /// <summary>Key id; null once deleted.</summary>
    public string? Target { get; set; }

    public string? FormerTarget { get; set; }

    public DateTimeOffset ChangedFrom { get; set; }

    [JsonIgnore]
    public string Arn => ArnOf(AccountId, Region, Name);

    public static string ArnOf(Caller caller, string name) => ArnOf(caller.AccountId, caller.Region, name);

    public string? TargetAt(DateTimeOffset now) => now < ChangedFrom ? FormerTarget : Target;

    public bool Targets(KmsKey key) =>
        string.Equals(AccountId, key.AccountId, StringComparison.Ordinal)
        && string.Equals(Region, key.Region, StringComparison.Ordinal)
        && string.Equals(Target, key.Id, StringComparison.Ordinal);

    public void Change(string? target, DateTimeOffset now, TimeSpan delay)
    {
        FormerTarget = TargetAt(now);
        Target = target;
        UpdatedAt = now;
        ChangedFrom = now + delay;
    }

    private static string ArnOf(string accountId, string region, string name) =>
        $"arn:aws:kms:{region}:{accountId}:{name}";
}
