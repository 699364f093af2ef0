using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Grants;

namespace SignSvc.Signing.Tests.Access;

public sealed class GrantRecordTests : AccessScene
{
    [Fact]
    public async Task A_grant_that_is_asked_for_again_is_on_record_again()
    {
        var wish = new NewGrant("ci", "credential:ci", [Actions.KeysSign], Constraints: null, ExpiresAt: null, MaxUses: null);
        var first = await Node.Grants.CreateAsync(Admin, "release", wish, Cancel);
        var before = Store.Records;
        Assert.Equal(first.Id, (await Node.Grants.CreateAsync(Admin, "release", wish, Cancel)).Id);
        Assert.Equal(1, Store.Records - before);
    }
}
