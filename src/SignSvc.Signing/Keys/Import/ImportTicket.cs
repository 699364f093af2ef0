using System.Buffers;
using System.Buffers.Text;
using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Keys.Import;

/// <summary>
/// The right to bring one piece of key material into one key, once: a wrapping key pair, of which only the wrapped
/// private half is kept. It is a document like the others, so that it outlives a restart and holds on every node.
/// </summary>
/// <remarks>
/// A ticket lies in one of <see cref="Slots"/> numbered places, whose number is the document's id: more cannot be
/// outstanding, however many nodes give them out, and used ones leave nothing behind but a version number.
/// </remarks>
public sealed record ImportTicket
{
    public const int Slots = 100;
    public static readonly TimeSpan Lifetime = TimeSpan.FromHours(24);

    private const int TokenLength = 33;

    public required int Slot { get; init; }

    public required string KeyId { get; init; }

    /// <summary>SHA-256 of the token; the token itself is not kept.</summary>
    public required byte[] TokenHash { get; init; }

    /// <summary>PKCS#8 of the RSA private key, wrapped in its <see cref="Context"/>.</summary>
    public required byte[] WrappedPrivateKey { get; init; }

    public required DateTimeOffset ExpiresAt { get; init; }

    /// <summary>Bound to the token, so that a ticket's private key opens in no other ticket.</summary>
    public static WrappingContext Context(int slot, ReadOnlySpan<byte> tokenHash) =>
        new($"import/{slot}/{Convert.ToHexStringLower(tokenHash)}", Version: 0, KeyPurpose.Artifacts);

    /// <summary>The slot's number and 256 random bits, in base64url.</summary>
    public static string NewToken(int slot)
    {
        Span<byte> bytes = stackalloc byte[TokenLength];
        bytes[0] = (byte)slot;
        RandomNumberGenerator.Fill(bytes[1..]);
        return Base64Url.EncodeToString(bytes);
    }

    public static byte[] Hash(string token) => SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(token));

    /// <summary>The ticket that a token stands for, if it is this key's and its time is not over.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, in the same words whatever the reason.</exception>
    public static ImportTicket Redeem(Snapshot snapshot, Key key, string token, DateTimeOffset now)
    {
        Span<byte> bytes = stackalloc byte[TokenLength];
        var isToken = Base64Url.DecodeFromChars(token, bytes, out _, out var written) == OperationStatus.Done && written == TokenLength;
        return isToken
            && snapshot.Imports.TryGetValue(bytes[0], out var ticket)
            && CryptographicOperations.FixedTimeEquals(ticket.TokenHash, Hash(token))
            && string.Equals(ticket.KeyId, key.Id, StringComparison.Ordinal)
            && now < ticket.ExpiresAt
                ? ticket
                : throw new SigningException(
                    SigningFault.InvalidRequest,
                    "The import token is not one of this key's, was used already, or has expired: ask for new import parameters.");
    }

    /// <summary>The lowest place that is free, or whose ticket has expired.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.Overloaded"/>.</exception>
    public static int FreeSlot(Snapshot snapshot, DateTimeOffset now)
    {
        for (var slot = 0; slot < Slots; slot++)
        {
            if (!snapshot.Imports.TryGetValue(slot, out var ticket) || ticket.ExpiresAt <= now)
                return slot;
        }

        var next = snapshot.Imports.Values.Min(t => t.ExpiresAt);
        throw new SigningException(SigningFault.Overloaded, $"{Slots} import tokens are outstanding; the next expires at {next:u}.")
        {
            RetryAfter = TimeSpan.FromMinutes(1),
        };
    }

    /// <summary>Puts the ticket in its place, and empties those whose time is over.</summary>
    public ImmutableArray<Change> Issue(Snapshot basis, DateTimeOffset now) =>
    [
        new Change(DocumentKind.Import, Id(Slot), NextVersion(basis, Slot), JsonSerializer.SerializeToUtf8Bytes(this, SigningJson.Default.ImportTicket)),
        .. basis.Imports.Values.Where(t => t.ExpiresAt <= now && t.Slot != Slot).Select(t => t.Use(basis)),
    ];

    /// <summary>Empties the place. Of two who use the same ticket, one commits; the other finds the document moved on.</summary>
    public Change Use(Snapshot basis) => new(DocumentKind.Import, Id(Slot), NextVersion(basis, Slot), ReadOnlyMemory<byte>.Empty);

    public static int SlotOf(string documentId) => int.Parse(documentId, NumberStyles.None, CultureInfo.InvariantCulture);

    private static string Id(int slot) => slot.ToString(CultureInfo.InvariantCulture);

    private static int NextVersion(Snapshot basis, int slot) => basis.DocumentVersion(DocumentKind.Import, Id(slot)) + 1;
}
