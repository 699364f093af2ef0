using System.Collections.Concurrent;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Access.Grants;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Telemetry;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing;

/// <summary>
/// The one path that every signature takes: resolve key and version in the snapshot, authorise, sign at the backend,
/// verify what came back, make the audit record durable, answer. HTTP, gRPC and the compatibility endpoints all end here.
/// </summary>
public sealed partial class Signer(
    LiveSnapshot live, BackendSet backends, AuditLog audit, Decisions decisions, KeyRules rules, TokenIssuing tokens, TimeProvider time)
{
    /// <summary>Of the volume tier's signatures, one in so many is verified, and the first of each version.</summary>
    private const int VolumeSample = 1024;

    /// <summary>Between the time of a request's own and its end, so that a backend that knows what was too slow says so.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(50);

    private readonly ConcurrentDictionary<string, bool> _verifiedKids = new(StringComparer.Ordinal);
    private readonly GrantUses _grantUses = new(live, decisions);
    private long _volumeSignatures;

    /// <exception cref="SigningException">The refusal, with the id of its audit record.</exception>
    public async Task<SignedDigest> SignAsync(Caller caller, SignRequest request, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        return await AnswerAsync(await DecideWithinAsync(caller, request, count: 1, cancellationToken), started, cancellationToken);
    }

    /// <summary>Every item has its own decision and record; the records become durable together.</summary>
    /// <returns>In the order of the items.</returns>
    public Task<Outcome<SignedDigest>[]> SignBatchAsync(
        Caller caller, IReadOnlyList<SignRequest> requests, CancellationToken cancellationToken) =>
        AnswerAllAsync(requests, r => DecideWithinAsync(caller, r, requests.Count, cancellationToken), cancellationToken);

    /// <summary>Verifies locally, whatever the state of the key; a version that is no longer published verifies nothing.</summary>
    /// <param name="request">Without a version, all published ones are tried.</param>
    /// <param name="signature">r‖s for ECDSA.</param>
    public Task<Verification> VerifyAsync(
        Caller caller, SignRequest request, Func<Key, byte[]?> signature, CancellationToken cancellationToken)
    {
        var key = Find(request.Key);
        var draft = decisions.Draft(caller, Actions.KeysVerify, key is null ? Decisions.Resource("key", request.Key) : null) with
        {
            KeyId = key?.Id,
            KeyName = key?.Name,
        };
        return decisions.ReadAsync(
            caller,
            draft,
            _ =>
            {
                if (key is null)
                    throw decisions.UnknownKey(caller);
                var algorithm = Choose(key, request.Algorithm);
                var digest = request.Payload.DigestFor(algorithm);
                var candidates = request.Version is { } number
                    ? [key.Version(number) ?? throw UnknownVersion()]
                    : key.Versions.Reverse();
                var value = signature(key);
                var match = value is null
                    ? null
                    : candidates.FirstOrDefault(v => v.IsPublished && v.Number >= key.MinVerificationVersion && v.PublicKey.Verify(algorithm, digest.Span, value));
                return ValueTask.FromResult(new Verification(match is not null, match?.Number));
            },
            cancellationToken);
    }

    /// <summary>Where the request names a time of its own, it ends by that, if the call does not end before.</summary>
    private async Task<Decided<SignedDigest>> DecideWithinAsync(
        Caller caller, SignRequest request, int count, CancellationToken cancellationToken)
    {
        if (request.Timeout is null)
            return await DecideAsync(caller, request, count, cancellationToken);
        using var terms = CallTerms.Begin(CallTerms.Current.Lane, request.Timeout, time);
        // Not every backend knows of terms.
        using var passing = new CancellationTokenSource(request.Timeout.Value + Grace, time);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(passing.Token, cancellationToken);
        return await DecideAsync(caller, request, count, ending.Token);
    }

    private async Task<Decided<SignedDigest>> DecideAsync(
        Caller caller, SignRequest request, int count, CancellationToken cancellationToken)
    {
        // A context is kept also of what is refused, unless it is beyond its bounds.
        var record = decisions.Draft(caller, Actions.KeysSign) with { Context = request.Context?.Fault is null ? request.Context : null };
        try
        {
            // Resolve.
            var snapshot = live.Current;
            var key = snapshot.Keys.TryGet(request.Key, out var found) ? found : null;
            record = record with { Resource = key is null ? Decisions.Resource("key", request.Key) : null, KeyId = key?.Id, KeyName = key?.Name };

            // Authorise. An unknown key is decided after it, so that it cannot be told from a forbidden one.
            var facts = new AccessFacts { Key = key, Context = record.Context, Bytes = request.Payload.Bytes.Length, Count = count };
            var permit = decisions.Authorise(snapshot, decisions.Ask(caller, Actions.KeysSign, record.Resource, facts));
            if (key is null)
                throw decisions.UnknownKey(caller);
            if (key.Purpose != KeyPurpose.Artifacts)
                throw new SigningException(SigningFault.KeyNotUsable, $"{key.Name} is a tokens key: it signs tokens of a profile only.");
            request.Context?.Check();

            var version = UsableVersion(key, request.Version);
            var algorithm = Choose(key, request.Algorithm);
            var digest = request.Payload.DigestFor(algorithm);
            record = record with
            {
                Version = version.Number,
                Kid = version.Kid,
                Algorithm = algorithm,
                Protection = version.Protection,
                Digest = Convert.ToBase64String(digest.Span),
            };

            // What is late costs neither an approval nor a grant's use.
            CallTerms.Current.ThrowIfLate(time);
            if (!live.Current.ApprovalRules.IsEmpty)
                permit = await decisions.SpendApprovalAsync(permit, SubjectOf(key, record), cancellationToken);
            permit = await _grantUses.SpendAsync(permit, cancellationToken);
            var signature = await SignAsync(permit, key, version, algorithm, digest, cancellationToken);
            return new Decided<SignedDigest>(
                Completed(record, signature, permit),
                auditId => new SignedDigest(signature.Value, algorithm, key, version, auditId));
        }
        catch (Exception e) when (AsRefusal(e) is { } refusal)
        {
            return new Decided<SignedDigest>(Decisions.Refused(record, refusal), refusal);
        }
    }

    private static ApprovalSubject SubjectOf(Key key, AuditRecord record) => new()
    {
        Action = Actions.KeysSign,
        Resource = $"key/{key.Id}",
        Version = record.Version,
        Kid = record.Kid,
        Algorithm = record.Algorithm!.Name,
        Digest = record.Digest,
        Context = record.Context,
    };

    /// <summary>Sign, and verify what came back: always in the assured tier, by sample in the volume tier.</summary>
    private async ValueTask<BackendSignature> SignAsync(
        Permit permit, Key key, KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken,
        bool alwaysVerify = false)
    {
        ArgumentNullException.ThrowIfNull(permit);
        CallTerms.Current.ThrowIfLate(time);
        var signature = key.Tier == KeyTier.Assured
            ? await AskAsync(key, version, algorithm, digest, cancellationToken)
            : await backends.SigningFor(key).SignAsync(version, algorithm, digest, cancellationToken);
        var mustVerify = alwaysVerify
            || key.Tier == KeyTier.Assured
            || Interlocked.Increment(ref _volumeSignatures) % VolumeSample == 0
            || !_verifiedKids.ContainsKey(version.Kid);
        if (mustVerify)
        {
            if (!version.PublicKey.Verify(algorithm, digest.Span, signature.Value))
            {
                if (key.Tier == KeyTier.Assured)
                    SigningMeters.BackendSignedWrongly(key.Backend);
                throw new SigningException(SigningFault.BackendFailed, $"The backend {key.Backend} returned a signature that does not verify.") { BackendRequestId = signature.RequestId };
            }

            _verifiedKids.TryAdd(version.Kid, true);
        }

        return signature;
    }

    /// <summary>With the backend's names of all its calls, those that failed on the way too.</summary>
    private async ValueTask<BackendSignature> AskAsync(
        Key key, KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken)
    {
        using var trail = CallTrail.Begin();
        try
        {
            var signature = await FollowingBackend.SignAsync(backends, key, version, algorithm, digest, time, cancellationToken);
            return trail.RequestIds is { } ids ? signature with { RequestId = ids } : signature;
        }
        catch (SigningException e)
        {
            e.BackendRequestId = trail.RequestIds;
            throw;
        }
    }

    private Key? Find(string reference) => live.Current.Keys.TryGet(reference, out var key) ? key : null;

    /// <summary>Invariant 2.</summary>
    private KeyVersion UsableVersion(Key key, int? number)
    {
        var now = time.GetUtcNow();
        if (key.State != KeyState.Enabled)
            throw new SigningException(SigningFault.KeyNotUsable, $"{key.Name} is {key.State switch { KeyState.Disabled => "disabled", KeyState.PendingDeletion => "pending deletion", _ => "deleted" }}.");
        var version = number is null
            ? key.Signing(now) ?? throw new SigningException(SigningFault.KeyNotUsable, $"No version of {key.Name} signs now.")
            : key.Version(number.Value) ?? throw UnknownVersion();
        if (number is not null && !(version.MaySignAt(now) && version.Number >= key.MinSigningVersion))
            throw new SigningException(SigningFault.KeyNotUsable, $"Version {number} of {key.Name} does not sign now.");
        return rules.RequireHardware && key.Tier == KeyTier.Assured && version.Protection == Protection.Software
            ? throw new SigningException(SigningFault.HardwareRequired, $"{key.Name} lives in software, and this service demands hardware.")
            : version;
    }

    /// <summary>Invariant 5: one of the key's own.</summary>
    private static SigningAlgorithm Choose(Key key, SigningAlgorithm? wish) =>
        wish is null
            ? key.Algorithms[0]
            : key.Algorithms.Contains(wish)
                ? wish
                : throw new SigningException(
                    SigningFault.AlgorithmMismatch, $"{key.Name} signs with {string.Join(", ", key.Algorithms)}, not with {wish}.");

    private static SigningException UnknownVersion() => new(SigningFault.NotFound, "There is no such version of this key.");
}
