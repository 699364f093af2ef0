using System.Security.Cryptography;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Keys.Import;

/// <param name="PublicKey">SubjectPublicKeyInfo of the RSA-4096 key to wrap with.</param>
/// <param name="Token">Good for one import into this key.</param>
public sealed record ImportParameters(byte[] PublicKey, string Token, DateTimeOffset ExpiresAt);

/// <summary>
/// Brings private keys from outside into a key, as its next version: the key owner wraps them for this service, and they
/// are in the clear only in this process's memory, for the moments between unwrapping and the backend.
/// </summary>
public sealed class KeyImport(
    LiveSnapshot live, KeyEdits edits, Decisions decisions, BackendSet backends, IWrapsKeys wrapping, KnownBadKeys knownBad, TimeProvider time)
    : IDisposable
{
    private const int Attempts = 10;

    /// <summary>Making an RSA-4096 pair and opening material both take a second of a core: callers wait for their turn, not too long.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly SemaphoreSlim _turn = new(1, 1);

    /// <exception cref="SigningException"><see cref="SigningFault.Unsupported"/>: the backend takes no keys from outside. <see cref="SigningFault.Overloaded"/>: too many tokens are outstanding.</exception>
    public Task<ImportParameters> PrepareAsync(Caller caller, string reference, CancellationToken cancellationToken)
    {
        var known = live.Current.Keys.TryGet(reference, out var key);
        var draft = decisions.Draft(caller, Actions.KeysImport, known ? null : $"key/{reference}") with
        {
            KeyId = key?.Id,
            KeyName = key?.Name,
        };
        return decisions.ChangeAsync(caller, draft, async permit =>
        {
            if (key is null || key.State == KeyState.Deleted)
                throw decisions.UnknownKey(caller);
            RefuseIfNotUsable(key);
            FindImporter(key);
            // Asked before a pair is made, to spare the work; decided when the ticket is committed.
            ImportTicket.FreeSlot(live.Current, time.GetUtcNow());
            await TakeTurnAsync(cancellationToken);
            try
            {
                using var pair = await Task.Run(MakePair, cancellationToken);
                return await IssueAsync(permit, draft, key, pair, cancellationToken);
            }
            finally
            {
                _turn.Release();
            }
        });
    }

    /// <summary>
    /// Makes the material the key's next version and ends the token, in one commit: of many who use one token at once, one
    /// succeeds. The first version of a key signs at once; a later one is announced, with the key's lead.
    /// </summary>
    /// <param name="atOnce">True: it takes over as soon as its lead is over. False: when the period of the version before it ends.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: the token, the material or the wish; the message says which. <see cref="SigningFault.Conflict"/>: a successor is announced already.</exception>
    public async Task<Key> ImportAsync(
        Caller caller, string reference, string token, WrappedMaterial material, bool atOnce, CancellationToken cancellationToken)
    {
        ImportTicket? ticket = null;
        Arrived? arrived = null;
        byte[]? pkcs8 = null;
        await TakeTurnAsync(cancellationToken);
        try
        {
            return await edits.ApplyWithAsync(
                caller, Actions.KeysImport, reference, $"material imported, {material.Algorithm}",
                async current =>
                {
                    ticket = ImportTicket.Redeem(live.Current, current, token, time.GetUtcNow());
                    RefuseIfNotUsable(current);
                    RefuseIfNotItsTurn(current, atOnce);
                    pkcs8 ??= await OpenAsync(ticket, material, cancellationToken);
                    if (arrived?.Number != current.Versions.Length + 1)
                        arrived = await TakeInAsync(current, pkcs8, arrived, cancellationToken);
                    return current with { Versions = current.Versions.Add(NextVersion(current, arrived, atOnce)) };
                },
                new AlongWith(basis => ticket!.Use(basis), Describe),
                cancellationToken,
                key => ApprovalSubject.OfKey(
                    Actions.KeysImport, key, ("token", ApprovalSubject.Fingerprint(token)), ("wrappedKey", material.Fingerprint()),
                    ("algorithm", material.Algorithm.ToString()), ("atOnce", atOnce ? "true" : "false")));
        }
        catch (SigningException e) when (arrived is { WasThere: false } && e.Fault is SigningFault.Conflict or SigningFault.NameTaken or SigningFault.InvalidRequest or SigningFault.Forbidden)
        {
            // It is certain that nobody will use what the backend took in.
            if (backends.For(arrived!.Key) is IDestroysKeys backend)
                await backend.DestroyAsync(arrived.Version, CancellationToken.None);
            throw;
        }
        finally
        {
            _turn.Release();
            CryptographicOperations.ZeroMemory(pkcs8);
        }
    }

    public void Dispose() => _turn.Dispose();

    private async Task<ImportParameters> IssueAsync(Permit permit, AuditRecord draft, Key key, RSA pair, CancellationToken cancellationToken)
    {
        var privateKey = pair.ExportPkcs8PrivateKey();
        try
        {
            for (var attempt = 1; ; attempt++)
            {
                var basis = live.Current;
                var now = time.GetUtcNow();
                var slot = ImportTicket.FreeSlot(basis, now);
                var token = ImportTicket.NewToken(slot);
                var hash = ImportTicket.Hash(token);
                var ticket = new ImportTicket
                {
                    Slot = slot,
                    KeyId = key.Id,
                    TokenHash = hash,
                    WrappedPrivateKey = await wrapping.WrapAsync(privateKey, ImportTicket.Context(slot, hash), cancellationToken),
                    ExpiresAt = now + ImportTicket.Lifetime,
                };
                try
                {
                    var record = draft with { Detail = "import parameters given", ExpiresAt = ticket.ExpiresAt };
                    await live.ChangeAsync(permit, record, cancellationToken, ticket.Issue(basis, now));
                    return new ImportParameters(pair.ExportSubjectPublicKeyInfo(), token, ticket.ExpiresAt);
                }
                catch (SigningException e) when (e.Fault == SigningFault.Conflict && attempt < Attempts)
                {
                    await live.RefreshAsync(cancellationToken);
                }
            }
        }
        finally
        {
            CryptographicOperations.ZeroMemory(privateKey);
        }
    }

    /// <summary>The pair is made when it is first exported, so that is done here too.</summary>
    private static RSA MakePair()
    {
        var pair = RSA.Create(WrappedMaterial.WrappingKeyBits);
        _ = pair.ExportSubjectPublicKeyInfo();
        return pair;
    }

    private async Task<byte[]> OpenAsync(ImportTicket ticket, WrappedMaterial material, CancellationToken cancellationToken)
    {
        var privateKey = await wrapping.UnwrapAsync(
            ticket.WrappedPrivateKey, ImportTicket.Context(ticket.Slot, ticket.TokenHash), cancellationToken);
        try
        {
            using var rsa = RSA.Create();
            rsa.ImportPkcs8PrivateKey(privateKey, out _);
            return material.Unwrap(rsa);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(privateKey);
        }
    }

    /// <summary>Looks the material over and gives it to the backend, for the key's next number.</summary>
    private async Task<Arrived> TakeInAsync(Key key, byte[] pkcs8, Arrived? earlier, CancellationToken cancellationToken)
    {
        var importer = FindImporter(key);
        var others = live.Current.Keys.Ever.SelectMany(k => k.Versions).Select(v => v.PublicKey);
        var publicKey = ImportedMaterial.Check(pkcs8, key.Spec, knownBad, others);
        var number = key.Versions.Length + 1;
        var pair = await importer.ImportAsync(
            new KeyPairRequest(key.Id, number, key.Name, key.Spec, key.Purpose), pkcs8, cancellationToken);
        var now = time.GetUtcNow();
        var version = new KeyVersion
        {
            KeyId = key.Id,
            Number = number,
            PublicKey = pair.PublicKey,
            Handle = pair.Handle,
            Protection = pair.Protection,
            Origin = KeyOrigin.Imported,
            State = VersionState.Announced,
            CreatedAt = now,
            SignsFrom = now,
        };
        return string.Equals(pair.PublicKey.Kid, publicKey.Kid, StringComparison.Ordinal)
            ? new Arrived(key, version, WasThere: earlier?.WasThere ?? pair.WasThere)
            : throw new SigningException(SigningFault.BackendFailed, $"The backend {key.Backend} made another key of the material.");
    }

    private KeyVersion NextVersion(Key key, Arrived arrived, bool atOnce)
    {
        var now = time.GetUtcNow();
        // As with a key that is made here: nobody can rely on a key set in which it never had a version.
        return key.Versions.IsEmpty
            ? SigningPeriod.From(now, key, arrived.Version with { State = VersionState.Active, ServedAt = now })
            : SigningPeriod.From(now + SigningPeriod.NextLeadOf(key), key, arrived.Version with { TakesOverEarly = atOnce });
    }

    private static AuditRecord Describe(AuditRecord record, Key edited)
    {
        var version = edited.Versions[^1];
        return record with { Version = version.Number, Kid = version.Kid, Protection = version.Protection };
    }

    private IImportsKeys FindImporter(Key key) => backends.For(key) as IImportsKeys
        ?? throw new SigningException(SigningFault.Unsupported, $"The backend {key.Backend} takes no keys from outside.");

    private static void RefuseIfNotUsable(Key key)
    {
        if (key.State != KeyState.Enabled)
            throw new SigningException(SigningFault.KeyNotUsable, $"{key.Name} is not enabled.");
    }

    private static void RefuseIfNotItsTurn(Key key, bool atOnce)
    {
        if (key.Versions.FirstOrDefault(v => v.State == VersionState.Announced) is { } waiting)
            throw new SigningException(SigningFault.Conflict, $"Version {waiting.Number} is announced already; import when it signs.");
        if (!atOnce && key.Rotation is not { Standby: true } && !key.Versions.Any(v => v.State == VersionState.Active && v.RetiresAt is not null))
            throw new SigningException(SigningFault.InvalidRequest, $"No period of {key.Name} is running that its next version could wait for.");
    }

    private async Task TakeTurnAsync(CancellationToken cancellationToken)
    {
        if (!await _turn.WaitAsync(Patience, cancellationToken))
            throw new SigningException(SigningFault.Overloaded, "Too many imports at once.") { RetryAfter = TimeSpan.FromSeconds(5) };
    }

    /// <summary>What the backend has taken in, for a version that may come to be.</summary>
    /// <param name="WasThere">The backend had it before this import, which therefore leaves it there.</param>
    private sealed record Arrived(Key Key, KeyVersion Version, bool WasThere)
    {
        public int Number => Version.Number;
    }
}
