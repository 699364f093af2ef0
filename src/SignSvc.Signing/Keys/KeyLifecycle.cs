using System.Collections.Immutable;
using SignSvc.Signing.Access;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Keys;

/// <summary>What an installation demands of its keys.</summary>
/// <param name="RequireHardware">Refuses assured keys that live in software, at creation and at every signature.</param>
public sealed record KeyRules(bool RequireHardware);

/// <summary>Keys from their creation on.</summary>
public sealed class KeyLifecycle(
    LiveSnapshot live, Decisions decisions, BackendSet backends, KeyRules rules, TimeProvider time)
{
    public const int MaxPage = 1000;

    /// <summary>Makes a key and its first version, which signs at once: nobody can have cached a key set without it. A key whose material is to be imported has no version yet.</summary>
    /// <exception cref="SigningException">
    /// <see cref="SigningFault.NameTaken"/>: the name or an alias; <see cref="SigningFault.Forbidden"/>: also where the caller may not put an alias; <see cref="SigningFault.HardwareRequired"/>; <see cref="SigningFault.InvalidRequest"/>: no such backend.
    /// </exception>
    public Task<Key> CreateAsync(Caller caller, NewKey request, CancellationToken cancellationToken)
    {
        var draft = decisions.Draft(caller, Actions.KeysCreate) with { KeyName = request.Name };
        var wished = new AccessFacts { Key = WithoutVersions(request, keyId: "", draft.At) };
        return decisions.ChangeAsync(caller, draft, async permit =>
        {
            var backend = FindBackend(request);
            foreach (var alias in request.Aliases)
            {
                decisions.RequireAlso(caller, Actions.AliasesPut, $"alias/{alias}");
                decisions.RequirePolicy(caller, Actions.AliasesPut, $"alias/{alias}", wished);
            }

            // Asked before a pair is made, to spare the backend; decided when the change is committed.
            if (live.Current.Keys.TryGet(request.Name, out _))
                throw new SigningException(SigningFault.NameTaken, $"There is a key {request.Name} already.");
            if (request.Aliases.FirstOrDefault(a => live.Current.Keys.TryGet(a, out _)) is { } taken)
                throw new SigningException(SigningFault.NameTaken, $"There is an alias or a key {taken} already: make the key without it, and move it then.");

            var now = time.GetUtcNow();
            var keyId = Guid.CreateVersion7(now).ToString();
            var key = WithoutVersions(request, keyId, now);
            if (request.Origin == KeyOrigin.Generated)
            {
                var pair = await MakePairAsync(backend, request, keyId, cancellationToken);
                RefuseSoftware(request, pair.Protection);
                RefuseKnown(pair.PublicKey);
                key = key with { Versions = [FirstVersion(key, pair, request.Adopt is null ? KeyOrigin.Generated : KeyOrigin.Adopted, now)] };
            }

            var version = key.Version(1);
            var record = draft with
            {
                KeyId = key.Id,
                Version = version?.Number,
                Kid = version?.Kid,
                Protection = version?.Protection,
                Detail = Describe(request),
            };
            try
            {
                await live.ChangeAsync(permit, record, cancellationToken, Change.Of(key, Snapshot.Empty));
            }
            catch (SigningException e) when (e.Fault == SigningFault.NameTaken && request.Adopt is null && version is not null && backend is IDestroysKeys destroying)
            {
                // Somebody faster took the name: the pair is nobody's.
                await destroying.DestroyAsync(version, cancellationToken);
                throw;
            }
            catch (SigningException e) when (e.Fault == SigningFault.NameTaken && request.Adopt is not null && version is not null)
            {
                // Somebody faster took the name, or adopted the same pair on another node.
                await live.RefreshAsync(cancellationToken);
                RefuseKnown(version.PublicKey);
                throw;
            }

            return key;
        }, wished);
    }

    /// <summary>One page in order of names, of the keys that the caller may read.</summary>
    /// <param name="after">The last name of the page before; null: from the first.</param>
    public Task<ImmutableArray<Key>> ListAsync(
        Caller caller, KeyFilter filter, int limit, string? after, CancellationToken cancellationToken) =>
        decisions.ReadAsync(
            caller,
            decisions.Draft(caller, Actions.KeysList),
            _ => ValueTask.FromResult(live.Current.Keys.After(after).Where(filter.Matches).Where(k => decisions.MayRead(caller, k)).Take(limit).ToImmutableArray()),
            cancellationToken);

    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>; <see cref="SigningFault.Forbidden"/>, also for an unknown key where the caller may not list keys.</exception>
    public Task<Key> ReadAsync(Caller caller, string reference, CancellationToken cancellationToken)
    {
        var known = live.Current.Keys.TryGet(reference, out var key);
        var draft = decisions.Draft(caller, Actions.KeysRead, known ? null : Decisions.Resource("key", reference)) with
        {
            KeyId = key?.Id,
            KeyName = key?.Name,
        };
        return decisions.ReadAsync(
            caller, draft, _ => key is not null ? ValueTask.FromResult(key) : throw decisions.UnknownKey(caller), cancellationToken);
    }

    private static string Describe(NewKey request)
    {
        var state = request.Enabled ? "" : ", disabled";
        var origin = request.Origin == KeyOrigin.Imported ? ", to be imported" : "";
        var aliases = request.Aliases.IsEmpty ? "" : $", aliases {string.Join(' ', request.Aliases)}";
        return $"{request.Tier} {request.Spec} for {request.Purpose}{origin}{state}{aliases}";
    }

    /// <inheritdoc cref="Decisions.UnknownKey"/>
    public SigningException Unknown(Caller caller) => decisions.UnknownKey(caller);

    private IKeyBackend FindBackend(NewKey request)
    {
        var backend = backends.Find(request.Tier, request.Backend);
        if (backend is null && backends.Find(KeyTier.Assured, request.Backend) is not null)
            throw new SigningException(SigningFault.Unsupported, $"The backend {request.Backend} cannot wrap keys of the volume tier.");
        if (backend is null)
        {
            throw new SigningException(
                SigningFault.InvalidRequest,
                $"There is no such backend; configured are {string.Join(", ", backends.Names)}.");
        }

        RefuseSoftware(request, backend.Protection);
        if (request.Origin == KeyOrigin.Imported && backend is not IImportsKeys)
            throw new SigningException(SigningFault.Unsupported, $"The backend {request.Backend} takes no keys from outside.");
        if (request.MultiRegion == true && backend is not (IHasPlaces or BudgetedBackend { Inner: IHasPlaces }))
            throw new SigningException(SigningFault.Unsupported, $"The backend {request.Backend} has no Regions.");
        backends.RefuseTags(request.Tier, request.Backend, request.Tags.Count);
        return backend;
    }

    /// <summary>Asked of the backend before a pair is made, and of the pair: only the pair knows what is true of it.</summary>
    private void RefuseSoftware(NewKey request, Protection protection)
    {
        if (rules.RequireHardware && request.Tier == KeyTier.Assured && protection == Protection.Software)
        {
            throw new SigningException(
                SigningFault.HardwareRequired,
                $"The backend {request.Backend} keeps keys in software, and this service demands hardware for the assured tier.");
        }
    }

    /// <summary>Two keys of one private key could not be disabled, deleted or revoked apart.</summary>
    private void RefuseKnown(PublicKey adopted)
    {
        if (live.Current.Keys.Ever.FirstOrDefault(k => k.Versions.Any(v => string.Equals(v.Kid, adopted.Kid, StringComparison.Ordinal))) is { } holder)
            throw new SigningException(SigningFault.InvalidRequest, $"adopt names what is the key {holder.Name} here already, or was: one private key has one life.");
    }

    private static Task<BackendKeyPair> MakePairAsync(
        IKeyBackend backend, NewKey request, string keyId, CancellationToken cancellationToken)
    {
        var pair = new KeyPairRequest(keyId, Version: 1, request.Name, request.Spec, request.Purpose, request.MultiRegion);
        if (request.Adopt is null)
            return backend.CreateAsync(pair, cancellationToken);
        return backend is IAdoptsKeys adopting
            ? adopting.AdoptAsync(pair, request.Adopt, cancellationToken)
            : throw new SigningException(SigningFault.Unsupported, $"The backend {request.Backend} cannot adopt a key that exists.");
    }

    private static Key WithoutVersions(NewKey request, string keyId, DateTimeOffset now) => new()
    {
        Id = keyId,
        Name = request.Name,
        Description = request.Description,
        Owner = request.Owner,
        Purpose = request.Purpose,
        Tier = request.Tier,
        Backend = request.Backend,
        Spec = request.Spec,
        Algorithms = request.Algorithms,
        State = request.Enabled ? KeyState.Enabled : KeyState.Disabled,
        CreatedAt = now,
        Origin = request.Origin,
        MultiRegion = request.MultiRegion,
        Aliases = request.Aliases,
        Tags = request.Tags,
        Rotation = request.Rotation,
        DeletionProtection = request.DeletionProtection,
        Versions = [],
    };

    private static KeyVersion FirstVersion(Key key, BackendKeyPair pair, KeyOrigin origin, DateTimeOffset now) => SigningPeriod.From(
        now,
        key,
        new KeyVersion
        {
            KeyId = key.Id,
            Number = 1,
            PublicKey = pair.PublicKey,
            Handle = pair.Handle,
            Protection = pair.Protection,
            State = VersionState.Active,
            CreatedAt = now,
            ServedAt = now,
            SignsFrom = now,
            Origin = origin,
        });
}

/// <summary>What a listing shows; null means any.</summary>
/// <param name="Tag"><c>name=value</c>, or a name alone.</param>
/// <param name="Tags">All of these, with these values.</param>
public sealed record KeyFilter(
    KeyPurpose? Purpose = null, KeyTier? Tier = null, KeyState? State = null, string? NamePrefix = null, string? Tag = null,
    IReadOnlyDictionary<string, string>? Tags = null)
{
    public bool Matches(Key key) =>
        (Purpose is null || key.Purpose == Purpose)
        && (Tier is null || key.Tier == Tier)
        && (State is null || key.State == State)
        && (NamePrefix is null || key.Name.StartsWith(NamePrefix, StringComparison.Ordinal))
        && (Tag is null || HasTag(key, Tag))
        && (Tags is null || Tags.All(t => key.Tags.TryGetValue(t.Key, out var value) && string.Equals(value, t.Value, StringComparison.Ordinal)));

    private static bool HasTag(Key key, string tag)
    {
        var equals = tag.IndexOf('=', StringComparison.Ordinal);
        return equals < 0
            ? key.Tags.ContainsKey(tag)
            : key.Tags.TryGetValue(tag[..equals], out var value) && string.Equals(value, tag[(equals + 1)..], StringComparison.Ordinal);
    }
}
