namespace SignSvc.Tests;

public sealed class GracefulStopTests
{
    [Fact]
    public async Task It_starts_stops_and_starts_again()
    {
        await using var service = await ServiceProcess.StartAsync();
        Assert.Equal(200, (await service.Client.GetJsonAsync("/v1/keys/release")).Code);
        Assert.Equal(0, await service.StopAsync());
        await service.RestartAsync();
        Assert.Equal(200, (await service.Client.GetJsonAsync("/v1/keys/release")).Code);
    }
}
