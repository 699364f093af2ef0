namespace SignSvc.Operations.Tests.LiveAlarms;

public sealed class CoverageTests
{
    /// <summary>Alarms that promtool alone proves (deploy/prometheus/tests), and why.</summary>
    private static readonly (string Alarm, string Reason)[] NotStaged =
    [
        ("SignSvcDenials", "compares with the day before the last ten minutes"),
        ("SignSvcUnusualSigning", "compares with the day before the last hour"),
        ("SignSvcKeySetStale", "comes after five minutes without the database; it reads the same clock as SignSvcSnapshotStale, which is staged"),
        ("SignSvcUnexpectedFaults", "there is no known way to a fault that is not foreseen: one that is found is mended"),
    ];

    [Fact]
    public void Every_alarm_is_staged_on_a_real_service_or_named_with_the_reason()
    {
        string[] staged =
        [
            .. AlarmsOf(NodeAlarmTests.Faults), .. AlarmsOf(CallerAlarmTests.Faults), .. AlarmsOf(StoreAlarmTests.Faults), .. AlarmsOf(StoreAlarmTests.Failing),
            .. AlarmsOf(KmsAlarmTests.Faults), .. AlarmsOf(KmsAlarmTests.Overasked), .. AlarmsOf(TimeAlarmTests.Faults), .. AlarmsOf(HsmAlarmTests.Faults),
            .. AlarmsOf(ClusterAlarmTests.Faults),
        ];
        Assert.Equal(
            AlarmTests.Alarms.Order(StringComparer.Ordinal),
            staged.Distinct(StringComparer.Ordinal).Concat(NotStaged.Select(n => n.Alarm)).Order(StringComparer.Ordinal), StringComparer.Ordinal);
    }

    private static IEnumerable<string> AlarmsOf<TSite>(IEnumerable<StagedFault<TSite>> faults) => faults.SelectMany(f => f.Alarms);
}
