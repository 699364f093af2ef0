using System.Globalization;
using System.Text.Json;

[assembly: AssemblyFixture(typeof(SignSvc.GrpcService.Tests.GrpcServer))]

namespace SignSvc.GrpcService.Tests;

/// <summary>The service as a process, with what tests need to call it by gRPC. One serves all tests that share it.</summary>
public sealed class GrpcServer : IAsyncLifetime
{
    private ServiceProcess? _service;

    public ServiceProcess Service => _service!;

    public Uri Address { get; private set; } = null!;

    public string Target => Address.Authority;

    /// <summary>As the first administrator.</summary>
    public GrpcClient Admin { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        _service = await ServiceProcess.StartAsync();
        Address = await AddressAsync(_service);
        Admin = As(_service.AdminToken);
    }

    public GrpcClient As(string? token) => new(Address, token);

    public async ValueTask DisposeAsync()
    {
        Admin?.Dispose();
        if (_service is not null)
            await _service.DisposeAsync();
    }

    /// <summary>Where a process serves gRPC; the line follows the one that says that it serves.</summary>
    public static async Task<Uri> AddressAsync(ServiceProcess service) =>
        new(await LineAsync(service, "gRPC on "));

    /// <summary>What follows in the last line that begins so, once there is one.</summary>
    public static async Task<string> LineAsync(ServiceProcess service, string beginning)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (true)
        {
            if (service.Output.Split('\n').LastOrDefault(l => l.StartsWith(beginning, StringComparison.Ordinal)) is { } line)
                return line[beginning.Length..].Trim();
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, patience.Token);
        }
    }

    /// <summary>A new credential's token.</summary>
    public static async Task<string> NewCredentialAsync(ServiceProcess service, string name, string role)
    {
        var made = await service.Client.PostJsonAsync("/v1/credentials", $$"""{"name":"{{name}}","roles":["{{role}}"]}""");
        Assert.Equal(201, made.Code);
        return made["token"];
    }

    /// <summary>The audit record, as HTTP shows it.</summary>
    public static async Task<JsonElement> RecordAsync(ServiceProcess service, string auditId)
    {
        var found = await service.Client.GetJsonAsync($"/v1/audit?auditId={auditId}");
        return found.Json.GetProperty("records")[0];
    }

    public static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
