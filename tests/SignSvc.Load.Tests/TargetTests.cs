using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Tests;

public sealed class TargetTests
{
    [Theory]
    [InlineData("http://192.0.2.7:8080")]
    [InlineData("http://signsvc.example")]
    [InlineData("https://[2001:db8::1]")]
    public void An_address_that_is_not_this_machines_is_refused_unless_it_is_meant(string url)
    {
        var refusal = Assert.Throws<UsageException>(() => ServiceTarget.At(new Uri(url), grpc: null, "token", allowRemote: false));
        Assert.Contains("--allow-remote", refusal.Message, StringComparison.Ordinal);
        Assert.Throws<UsageException>(() => ServiceTarget.At(new Uri("http://127.0.0.1"), new Uri(url), "token", allowRemote: false));
        Assert.Equal(new Uri(url), ServiceTarget.At(new Uri(url), grpc: null, "token", allowRemote: true).Http);
    }

    [Theory]
    [InlineData("http://127.0.0.1:8080")]
    [InlineData("http://localhost:8080")]
    [InlineData("http://[::1]:8080")]
    public void Loopback_is_taken(string url) =>
        Assert.Equal(new Uri(url), ServiceTarget.At(new Uri(url), grpc: null, "token", allowRemote: false).Http);
}
