using System.CommandLine;

namespace SignSvc.Cli.Keys;

/// <summary><c>--rotation-period</c>, <c>--jitter</c>, <c>--lead</c>, <c>--grace</c>, <c>--standby</c>.</summary>
internal sealed class RotationOptions
{
    public const string Never = "never";

    private readonly Option<string?> _period = Parameters.Text(
        "--rotation-period", "time", "How long one version signs: 30d, 12h; never: it is rotated on demand alone.");

    private readonly Option<string?> _lead = Parameters.Text(
        "--lead", "time", "How long a version's public key is served before it signs: 24h; 0s: not at all.");

    private readonly Option<string?> _grace = Parameters.Text(
        "--grace", "time", "How long a version may sign on where its successor is not ready.");

    private readonly Option<string?> _jitter = Parameters.Text(
        "--jitter", "time", "How much sooner a version may retire, each by a share of its own; up to a quarter of the period. Default: 0s.");

    private readonly Option<bool?> _standby = new("--standby")
    {
        HelpName = "true|false",
        Description = "A successor is announced at all times, ready for rotations on demand and revocations. Default: within a lead of the period's end.",
    };

    public void AddTo(Command command)
    {
        command.Add(_period);
        command.Add(_jitter);
        command.Add(_lead);
        command.Add(_grace);
        command.Add(_standby);
    }

    /// <summary>Null: none of them was given.</summary>
    public RotationWish? Read(ParseResult parsed)
    {
        var (period, lead, grace, jitter) = (parsed.GetValue(_period), parsed.GetValue(_lead), parsed.GetValue(_grace), parsed.GetValue(_jitter));
        var standby = parsed.GetValue(_standby);
        if (period is null && lead is null && grace is null && jitter is null && standby is null)
            return null;
        var isNever = string.Equals(period, Never, StringComparison.Ordinal);
        return new RotationWish(
            isNever ? null : Durations.Seconds("--rotation-period", period), isNever, SecondsOrZero("--lead", lead), SecondsOrZero("--grace", grace),
            SecondsOrZero("--jitter", jitter), standby);
    }

    private static long? SecondsOrZero(string option, string? text) => text is "0" or "0s" ? 0 : Durations.Seconds(option, text);
}

/// <summary>What is wanted of a rotation policy; what is null was not spoken of.</summary>
/// <param name="IsNever">No period: on demand alone.</param>
internal sealed record RotationWish(long? Period, bool IsNever, long? Lead, long? Grace, long? Jitter = null, bool? Standby = null)
{
    /// <summary>For a key that is made: the service chooses what is null.</summary>
    public RotationPolicy ForNewKey() => new(Period, Lead, Grace, Jitter, Standby);

    /// <summary>For a key that has a policy: the service leaves what is null as it is, and takes a period of 0 for none.</summary>
    public RotationPolicy ForChange() => new(IsNever ? 0 : Period, Lead, Grace, Jitter, Standby);

    public bool IsMetBy(RotationPolicy? current) =>
        (!IsNever || current?.PeriodSeconds is null)
        && (Period is null || Period == current?.PeriodSeconds)
        && (Lead is null || Lead == current?.LeadSeconds)
        && (Grace is null || Grace == current?.GraceSeconds)
        && (Jitter is null || Jitter == (current?.JitterSeconds ?? 0))
        && (Standby is null || Standby == (current?.Standby ?? false));
}
