using SignSvc.Signing.Access;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tests.Access;

namespace SignSvc.Signing.Tests.Keys;

/// <summary>How often an edit of a key is made.</summary>
public sealed class KeyEditsTests : AccessScene
{
    [Fact]
    public async Task A_conflict_that_an_edit_finds_itself_is_thrown_at_once()
    {
        var edits = 0;
        var refusal = await RefusalOfAsync(() => EditAsync(_ =>
        {
            edits++;
            throw new SigningException(SigningFault.Conflict, "The rule of an edit.");
        }));
        Assert.Equal((SigningFault.Conflict, "The rule of an edit.", 1), (refusal?.Fault, refusal?.Message, edits));
    }

    [Fact]
    public async Task Where_another_change_was_committed_first_the_edit_is_made_again()
    {
        var edits = 0;
        Store.RefusalOfChange = new SigningException(SigningFault.Conflict, "It was changed meanwhile.");
        var edited = await EditAsync(key =>
        {
            edits++;
            return key with { Owner = $"after {edits}" };
        });
        Assert.Equal(("after 2", 2), (edited.Owner, edits));
    }

    [Fact]
    public async Task A_version_that_is_revoked_for_good_is_not_asked_about_again()
    {
        await Node.Rotation.RevokeAsync(Admin, "release", 1, RevocationReason.Compromised, Cancel);
        var reads = Store.StateReads;
        var refusal = await RefusalOfAsync(() => Node.Rotation.RevokeAsync(Admin, "release", 1, RevocationReason.Superseded, Cancel));
        Assert.Equal((SigningFault.Conflict, reads), (refusal?.Fault, Store.StateReads));
    }

    private Task<Key> EditAsync(Func<Key, Key> edit) =>
        Node.Edits.ApplyAsync(Admin, Actions.KeysUpdate, "release", "edited", key => ValueTask.FromResult(edit(key)), Cancel);
}
