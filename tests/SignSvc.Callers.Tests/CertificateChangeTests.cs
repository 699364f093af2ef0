namespace SignSvc.Callers.Tests;

/// <summary>Roots and revocation lists that change while the service runs; each test has one of its own.</summary>
public sealed class CertificateChangeTests : IAsyncLifetime
{
    private const string Spiffe = "spiffe://acme.example/ns/ci/sa/builder";

    private readonly MtlsService _mtls = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => _mtls.InitializeAsync();

    public ValueTask DisposeAsync() => _mtls.DisposeAsync();

    [Fact]
    public async Task An_intermediate_that_comes_along_is_used_if_its_own_list_is_there()
    {
        var intermediate = _mtls.Root.Intermediate("CN=Issuing");
        var certificate = intermediate.Issue(new CertificateWish { Uris = [Spiffe] });
        // Each CA of the chain has to say what it revoked.
        using (var client = _mtls.Client(certificate, intermediate.Certificate))
            Assert.Equal(401, (await client.GetJsonAsync("/v1/whoami")).Code);

        await File.WriteAllTextAsync(_mtls.CrlFile, _mtls.Root.RevocationList(TimeSpan.FromHours(1)) + "\n" + intermediate.RevocationList(TimeSpan.FromHours(1)), Cancellation);

        using (var client = _mtls.Client(certificate, intermediate.Certificate))
            await MtlsService.UntilAsync(client, 200);
        using (var client = _mtls.Client(certificate))
            Assert.Equal(401, (await client.GetJsonAsync("/v1/whoami")).Code);
    }

    [Fact]
    public async Task Revoking_reaches_connections_that_are_open_and_a_list_that_is_over_lets_nobody_in()
    {
        var (mine, theirs) = (_mtls.Root.Issue(new CertificateWish { Uris = [Spiffe] }), _mtls.Root.Issue(new CertificateWish { Subject = "CN=other" }));
        using var client = _mtls.Client(mine);
        using var other = _mtls.Client(theirs);
        Assert.Equal(200, (await client.GetJsonAsync("/v1/whoami")).Code);

        await File.WriteAllTextAsync(_mtls.CrlFile, _mtls.Root.RevocationList(TimeSpan.FromHours(1), mine), Cancellation);
        await MtlsService.UntilAsync(client, 401);
        Assert.Equal(200, (await other.GetJsonAsync("/v1/whoami")).Code);

        // Half a file changes nothing; a list of a stranger neither.
        await File.WriteAllTextAsync(_mtls.CrlFile, "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----", Cancellation);
        await _mtls.UntilLoggedAsync("cannot be read");
        Assert.Equal((401, 200), ((await client.GetJsonAsync("/v1/whoami")).Code, (await other.GetJsonAsync("/v1/whoami")).Code));

        await File.WriteAllTextAsync(_mtls.CrlFile, new TestAuthority("CN=Root").RevocationList(TimeSpan.FromHours(1)), Cancellation);
        await MtlsService.UntilAsync(other, 401);

        await File.WriteAllTextAsync(_mtls.CrlFile, _mtls.Root.RevocationList(TimeSpan.FromHours(1)), Cancellation);
        await MtlsService.UntilAsync(other, 200);
        await File.WriteAllTextAsync(_mtls.CrlFile, _mtls.Root.RevocationList(TimeSpan.FromMinutes(-1)), Cancellation);
        await MtlsService.UntilAsync(other, 401);
    }

    [Fact]
    public async Task Roots_are_exchanged_while_the_service_runs()
    {
        using var old = _mtls.Client(_mtls.Root.Issue(new CertificateWish { Uris = [Spiffe] }));
        using var next = _mtls.Client(_mtls.Other.Issue(new CertificateWish { Uris = [Spiffe] }));
        Assert.Equal((200, 401), ((await old.GetJsonAsync("/v1/whoami")).Code, (await next.GetJsonAsync("/v1/whoami")).Code));

        await File.WriteAllTextAsync(_mtls.CrlFile, _mtls.Root.RevocationList(TimeSpan.FromHours(1)) + "\n" + _mtls.Other.RevocationList(TimeSpan.FromHours(1)), Cancellation);
        await File.WriteAllTextAsync(_mtls.CaFile, _mtls.Other.Pem, Cancellation);

        await MtlsService.UntilAsync(next, 200);
        Assert.Equal(401, (await old.GetJsonAsync("/v1/whoami")).Code);
    }
}
