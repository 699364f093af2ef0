using System.Globalization;

namespace SignSvc.Lifecycle.Tests;

public sealed class RotatorTests(RunningService service)
{
    /// <summary><c>SIGNSVC_ROUNDS</c> asks for more.</summary>
    private static readonly int Rounds =
        int.Parse(Environment.GetEnvironmentVariable("SIGNSVC_ROUNDS") is { Length: > 0 } wish ? wish : "20", CultureInfo.InvariantCulture);

    [Fact]
    public async Task Fifty_who_rotate_at_once_make_one_successor()
    {
        for (var round = 0; round < Rounds; round++)
        {
            var name = await service.Admin.NewTokensKeyAsync(""","rotation":{"leadSeconds":3600}""");
            var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => service.Admin.DoAsync(name, "rotate").MustAsync(200)));
            Assert.Equal(["active", "announced"], (await service.Admin.ReadKeyAsync(name)).States());
            Assert.Single(answers.Select(a => a.Kid(2)).Distinct(StringComparer.Ordinal));
        }
    }
}
