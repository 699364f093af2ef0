using Microsoft.AspNetCore.Http;
using SignSvc.Load.Calls;
using SignSvc.Load.Ratios;

namespace SignSvc.Load.Tests;

public sealed class ClosedLoopTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("""{"results":[{"token":"eyJhbGciOiJF.a"},{"token":"eyJhbGciOiJF.b"},{"token":"eyJhbGciOiJF.c"}]}""", true)]
    [InlineData("""{"results":[{"token":"eyJhbGciOiJF.a"},{"problem":{"status":400}},{"token":"eyJhbGciOiJF.c"}]}""", false)]
    [InlineData("", false)]
    public async Task A_batch_counts_where_each_of_its_items_has_a_token(string body, bool counts)
    {
        await using var service = await StubService.StartAsync(http => http.Response.WriteAsync(body, Cancel), Cancel);
        var loop = new ClosedLoop("batch", service.Http, Environment.ProcessId, [new Call("POST", "/v1/tokens/batch")], connections: 2, signaturesEach: 3);
        var round = await loop.RunAsync(TimeSpan.FromMilliseconds(100), Cancel);
        Assert.Equal((counts, !counts), (round.Operations > 0, round.Failures > 0));
        Assert.Equal(0, round.Operations % 3);
    }
}
