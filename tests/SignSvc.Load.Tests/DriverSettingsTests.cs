namespace SignSvc.Load.Tests;

public sealed class DriverSettingsTests
{
    [Fact]
    public void What_is_started_has_nothing_of_the_shells_settings()
    {
        var environment = new Dictionary<string, string?>(StringComparer.Ordinal);
        string[] settings = ["SignSvc__Store__Postgres", "SIGNSVC_DATA", "AWS_REGION", "ASPNETCORE_URLS", "Kestrel__Limits__MaxConcurrentConnections", "DOTNET_gcServer", "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS"];
        string[] others = ["PATH", "HOME", "DOTNET_ROOT", "DOTNET_ROOT_X64", "SOFTHSM2_CONF"];
        foreach (var name in settings.Concat(others))
            environment[name] = "1";
        DriverSettings.KeepFrom(environment);
        Assert.Equal(others.Order(StringComparer.Ordinal), environment.Keys.Order(StringComparer.Ordinal), StringComparer.Ordinal);
    }
}
