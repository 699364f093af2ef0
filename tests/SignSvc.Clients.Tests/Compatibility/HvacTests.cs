using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Compatibility;

/// <summary>hvac, Vault's client for Python, unmodified.</summary>
public sealed class HvacTests(RunningService service)
{
    [Fact]
    public async Task Hvac_makes_lists_rotates_signs_and_verifies()
    {
        var key = await AccessKeyOf.NewAsync(service, "operator", "signer");
        using var home = new TemporaryHome();
        var ended = await OutsideProgram.RunAsync(
            Checkout.Python, [Checkout.Script("Compatibility", "transit.py")], home.Folder, cancellationToken: TestContext.Current.CancellationToken,
            environment: key.Environment(service));
        Assert.True(ended.Succeeded, $"{ended}");
    }
}
