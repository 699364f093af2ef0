using SignSvc.Signing.Access;

namespace SignSvc.Signing.Tests.Access;

/// <summary>The end of a credential is the end of its secrets.</summary>
public sealed class CredentialEndTests : AccessScene
{
    [Fact]
    public async Task A_rotation_that_gives_an_expired_credential_a_new_end_does_not_bring_its_old_secret_back()
    {
        var (credential, old) = await Node.Credentials.CreateAsync(Admin, "ci", [Role.Signer], Clock.GetUtcNow().AddHours(1), [], Cancel);
        Clock.Advance(TimeSpan.FromHours(2));
        Assert.Null(Node.Credentials.Recognise(old, from: null));

        var (rotated, token) = await Node.Credentials.RotateAsync(
            Admin, credential.Id, TimeSpan.FromHours(1), Clock.GetUtcNow().AddDays(1), force: false, Cancel);
        Assert.Null(Node.Credentials.Recognise(old, from: null));
        Assert.Null(rotated.PreviousUntil);
        Assert.Equal("ci", Node.Credentials.Recognise(token, from: null)?.Name);

        // Of one that is alive both are good for the overlap.
        await Node.Credentials.RotateAsync(Admin, credential.Id, TimeSpan.FromHours(1), expiresAt: null, force: false, Cancel);
        Assert.NotNull(Node.Credentials.Recognise(token, from: null));
    }
}
