namespace SignSvc.Emulation.Tests.Recorded;

/// <summary>The emulator answers as real AWS KMS was recorded to answer: codes, messages, members, states.</summary>
public sealed class RecordedAnswersTests(RecordedAnswersTests.Fixture fixture)
    : IClassFixture<RecordedAnswersTests.Fixture>
{
    private const string NoFile = "(no recorded answers)";

    public static TheoryData<string> RecordedTests =>
        RecordedFile.Tests.Count == 0
            ? new TheoryData<string>(NoFile)
            : new TheoryData<string>(RecordedFile.Tests.Keys);

    [Theory]
    [MemberData(nameof(RecordedTests))]
    public async Task Every_recorded_answer_is_given_or_listed_as_not_covered(string name)
    {
        Assert.SkipWhen(name is NoFile, RecordedFile.Missing);
        var replay = new Replay(name, RecordedFile.Tests[name], fixture.Kms);
        var scenario = name.Split('[')[0];
        if (NotCovered.Reasons.ContainsKey(name))
        {
            Assert.False(Scenarios.ByName.ContainsKey(scenario), $"{name} is replayed and listed as not covered.");
            return;
        }

        Assert.True(Scenarios.ByName.ContainsKey(scenario), $"{name} is neither replayed nor listed as not covered.");
        await Scenarios.ByName[scenario](replay);

        var missed = replay.StepsNotCompared.Where(s => !NotCovered.Reasons.ContainsKey($"{name}/{s}"));
        Assert.True(!missed.Any(), $"Steps neither compared nor listed as not covered: {string.Join(", ", missed)}");
    }

    [Fact]
    public void What_is_not_covered_is_listed_with_names_that_exist()
    {
        Assert.SkipWhen(RecordedFile.Tests.Count == 0, RecordedFile.Missing);
        var known = RecordedFile
            .Tests.SelectMany(t => t.Value.Select(s => $"{t.Key}/{s.Key}").Append(t.Key))
            .ToHashSet(StringComparer.Ordinal);
        Assert.DoesNotContain(NotCovered.Reasons.Keys, n => !known.Contains(n));

        foreach (var (name, reason) in NotCovered.Reasons)
            TestContext.Current.TestOutputHelper?.WriteLine($"{name}: {reason}");
        Assert.Equal(114, RecordedFile.Tests.Count);
    }

    public sealed class Fixture : IAsyncLifetime
    {
        private KmsEmulator? _emulator;

        internal KmsWire Kms { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            _emulator = await KmsEmulator.StartAsync();
            _emulator.Quotas.Enforced = false;
            Kms = new KmsWire(_emulator.Uri);
        }

        public async ValueTask DisposeAsync()
        {
            Kms.Dispose();
            await _emulator!.DisposeAsync();
        }
    }
}
