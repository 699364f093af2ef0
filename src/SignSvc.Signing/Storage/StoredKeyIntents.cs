using System.Globalization;
using System.Text.Json;
using SignSvc.Signing.Access;
using SignSvc.Signing.Backends;

namespace SignSvc.Signing.Storage;

/// <summary>
/// Intents as documents: sealed, with a record of each step, and known to every node. An intent lies in one of
/// <see cref="Slots"/> numbered places, whose number is the document's id, so that ended ones leave nothing behind but a
/// version number.
/// </summary>
public sealed class StoredKeyIntents(LiveSnapshot live, Decisions decisions) : IKeyIntents
{
    public const int Slots = 2048;

    /// <summary>Every lost attempt is another intent's success.</summary>
    private const int Attempts = 64;

    public Task PutAsync(KeyIntent intent, CancellationToken cancellationToken) => ChangeAsync(
        intent,
        intent.Reference is null ? "begun" : "made",
        basis => PlaceOf(intent.Id, basis) ?? FreePlace(basis),
        JsonSerializer.SerializeToUtf8Bytes(intent, SigningJson.Default.KeyIntent),
        cancellationToken);

    public async Task RemoveAsync(string id, CancellationToken cancellationToken)
    {
        await live.RefreshAsync(cancellationToken);
        // Read once: in the next snapshot another node may have removed it.
        var current = live.Current;
        if (PlaceOf(id, current) is { } place)
            await ChangeAsync(current.KeyIntents[place], "closed", basis => PlaceOf(id, basis), ReadOnlyMemory<byte>.Empty, cancellationToken);
    }

    public async Task<IReadOnlyList<KeyIntent>> ListAsync(string backend, CancellationToken cancellationToken)
    {
        await live.RefreshAsync(cancellationToken);
        return [.. live.Current.KeyIntents.Values.Where(i => string.Equals(i.Backend, backend, StringComparison.Ordinal))];
    }

    public async Task<bool> IsRecordedAsync(KeyIntent intent, string reference, CancellationToken cancellationToken)
    {
        await live.RefreshAsync(cancellationToken);
        return live.Current.Keys.Ever.SelectMany(k => k.Versions).Any(v =>
            v.Handle is { } handle
            && handle.StartsWith(reference, StringComparison.Ordinal)
            && (handle.Length == reference.Length || handle[reference.Length] == '#'));
    }

    public static int SlotOf(string documentId) => int.Parse(documentId, NumberStyles.None, CultureInfo.InvariantCulture);

    /// <param name="place">Null: the intent is gone meanwhile, and nothing is to be changed.</param>
    private Task<bool> ChangeAsync(
        KeyIntent intent, string step, Func<Snapshot, int?> place, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        var draft = decisions.Draft(Caller.Service, Actions.KeysIntend) with
        {
            KeyId = intent.KeyId,
            Version = intent.Version,
            Detail = $"{intent.Spec} key {step} in {intent.Backend}{(intent.Reference is { } reference ? $": {reference}" : "")}",
        };
        return decisions.ChangeAsync(Caller.Service, draft, async permit =>
        {
            for (var attempt = 1; ; attempt++)
            {
                var basis = live.Current;
                if (place(basis) is not { } slot)
                    return false;
                try
                {
                    var id = slot.ToString(CultureInfo.InvariantCulture);
                    var version = basis.DocumentVersion(DocumentKind.KeyIntent, id) + 1;
                    await live.ChangeAsync(permit, draft, cancellationToken, new Change(DocumentKind.KeyIntent, id, version, body));
                    return true;
                }
                catch (SigningException e) when (e.Fault == SigningFault.Conflict && attempt < Attempts)
                {
                    await live.RefreshAsync(cancellationToken);
                }
            }
        });
    }

    private static int? PlaceOf(string id, Snapshot snapshot)
    {
        foreach (var (slot, intent) in snapshot.KeyIntents)
        {
            if (string.Equals(intent.Id, id, StringComparison.Ordinal))
                return slot;
        }

        return null;
    }

    private static int FreePlace(Snapshot snapshot)
    {
        for (var slot = 0; slot < Slots; slot++)
        {
            if (!snapshot.KeyIntents.ContainsKey(slot))
                return slot;
        }

        throw new SigningException(SigningFault.Overloaded, $"{Slots} keys were begun and not recorded; no more are made before they are reconciled.");
    }
}
