using System.Collections.Immutable;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Keys.Import;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Tests.Keys.Import;

public sealed class ImportTicketTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    [Fact]
    public void A_token_opens_its_own_ticket_until_it_expires()
    {
        var (ticket, token) = Ticket(slot: 7, "a");
        var snapshot = With(ticket);
        Assert.Same(ticket, ImportTicket.Redeem(snapshot, KeyOf("a"), token, ticket.ExpiresAt - TimeSpan.FromTicks(1)));

        SigningException[] refusals =
        [
            Refusal(snapshot, "a", token, ticket.ExpiresAt),
            Refusal(snapshot, "b", token, Now),
            Refusal(Snapshot.Empty, "a", token, Now),
            Refusal(With(Ticket(slot: 7, "a").Ticket), "a", token, Now),
            Refusal(snapshot, "a", ImportTicket.NewToken(7), Now),
            Refusal(snapshot, "a", ImportTicket.NewToken(8), Now),
            Refusal(snapshot, "a", "", Now),
            Refusal(snapshot, "a", token[..^1], Now),
            Refusal(snapshot, "a", token + "A", Now),
            Refusal(snapshot, "a", new string('A', 10_000), Now),
        ];
        Assert.Single(refusals.Select(r => (r.Fault, r.Message)).Distinct());
    }

    [Fact]
    public void A_hundred_are_outstanding_at_the_most_and_expired_ones_make_room()
    {
        var full = With([.. Enumerable.Range(0, ImportTicket.Slots).Select(slot => Ticket(slot, "a").Ticket)]);
        var refusal = Assert.Throws<SigningException>(() => ImportTicket.FreeSlot(full, Now));
        Assert.Equal(SigningFault.Overloaded, refusal.Fault);
        Assert.NotNull(refusal.RetryAfter);

        Assert.Equal(0, ImportTicket.FreeSlot(full, Now + ImportTicket.Lifetime));
        Assert.Equal(42, ImportTicket.FreeSlot(full with { Imports = full.Imports.Remove(42) }, Now));
        // Giving one out empties all the others whose time is over.
        var (next, _) = Ticket(slot: 0, "a");
        var changes = next.Issue(full, Now + ImportTicket.Lifetime);
        Assert.Equal(ImportTicket.Slots, changes.Length);
        Assert.Single(changes, c => !c.Body.IsEmpty);
    }

    private static SigningException Refusal(Snapshot snapshot, string keyId, string token, DateTimeOffset now) =>
        Assert.Throws<SigningException>(() => ImportTicket.Redeem(snapshot, KeyOf(keyId), token, now));

    private static Snapshot With(params ImportTicket[] tickets) =>
        Snapshot.Empty with { Imports = tickets.ToImmutableSortedDictionary(t => t.Slot, t => t) };

    private static (ImportTicket Ticket, string Token) Ticket(int slot, string keyId)
    {
        var token = ImportTicket.NewToken(slot);
        var ticket = new ImportTicket
        {
            Slot = slot,
            KeyId = keyId,
            TokenHash = ImportTicket.Hash(token),
            WrappedPrivateKey = [],
            ExpiresAt = Now + ImportTicket.Lifetime,
        };
        return (ticket, token);
    }

    private static Key KeyOf(string id) => new()
    {
        Id = id,
        Name = id,
        Purpose = KeyPurpose.Artifacts,
        Tier = KeyTier.Assured,
        Backend = "software",
        Spec = KeySpec.P256,
        Algorithms = [SigningAlgorithm.ES256],
        State = KeyState.Enabled,
        CreatedAt = Now,
        Versions = [],
    };
}
