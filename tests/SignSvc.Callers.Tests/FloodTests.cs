namespace SignSvc.Callers.Tests;

/// <summary>Strangers in numbers cost neither memory nor fetches nor records, however they vary. What other tests ask would be in it: it has a service of its own.</summary>
public sealed class FloodTests : IAsyncLifetime
{
    private const int Parallel = 16;
    private const int Warmup = 4_000;
    private const int Flood = 24_000;
    private const int Floods = 3;
    private const long MaxGrowthKiB = 24 * 1024;

    private readonly CallersService _callers = new();

    public ValueTask InitializeAsync() => _callers.InitializeAsync();

    public ValueTask DisposeAsync() => _callers.DisposeAsync();

    [Fact]
    public async Task A_flood_of_forged_tokens_leaves_memory_and_fetches_flat()
    {
        var stranger = new TestKey("k1");
        var tokens = new[]
        {
            _callers.Issuer.Token().SignedBy(stranger), _callers.Issuer.Token().WithHeader(("kid", "made-up")), _callers.Issuer.Token(("aud", "other")),
            _callers.Issuer.Token(("exp", 1)), _callers.Issuer.Token(("iss", "https://other.example")),
        };
        await SendAsync(tokens, Warmup);
        var (fetches, started) = (_callers.Issuer.Fetches, TimeProvider.System.GetUtcNow());

        // The garbage of a moment may be between two samples; what floods leave behind grows with each of them.
        var growths = new List<long>();
        do
        {
            var memory = CallersService.Resident(_callers.Process);
            await SendAsync(tokens, Flood);
            growths.Add(CallersService.Resident(_callers.Process) - memory);
        }
        while (growths[^1] >= MaxGrowthKiB && growths.Count < Floods);

        fetches = _callers.Issuer.Fetches - fetches;
        var page = await _callers.Process.Client.GetJsonAsync($"/v1/audit?caller=unknown&limit=1000&from={Uri.EscapeDataString(started.ToString("O"))}");
        var seconds = (TimeProvider.System.GetUtcNow() - started).TotalSeconds;
        TestContext.Current.TestOutputHelper?.WriteLine($"{Flood * growths.Count} refusals in {seconds:0.0} s, {string.Join(", ", growths)} KiB more, {fetches} fetches");
        Assert.True(growths[^1] < MaxGrowthKiB, $"{string.Join(", ", growths)} KiB more, each after {Flood} forged tokens");
        Assert.InRange(fetches, 0, (int)(seconds / 10) + 1);
        Assert.InRange(page.Json.GetProperty("records").GetArrayLength(), 1, 10 * (int)(seconds + 2));
    }

    /// <summary>Every token differs, so that nothing can be remembered from one to the next.</summary>
    private async Task SendAsync(TestToken[] tokens, int count)
    {
        using var client = _callers.Process.As(token: null);
        await System.Threading.Tasks.Parallel.ForEachAsync(
            Enumerable.Range(0, count),
            new ParallelOptions { MaxDegreeOfParallelism = Parallel, CancellationToken = TestContext.Current.CancellationToken },
            async (i, cancellation) =>
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/whoami");
                request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {tokens[i % tokens.Length].With(("jti", $"{i}"))}");
                using var response = await client.SendAsync(request, cancellation);
                Assert.Equal(401, (int)response.StatusCode);
            });
    }
}
