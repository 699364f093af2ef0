using System.ComponentModel.DataAnnotations;
using Amazon.KeyManagementService;
using Amazon.Runtime;
using SignSvc.Backends.AwsKms.Access;
using SignSvc.Backends.AwsKms.Calls;
using SignSvc.Backends.AwsKms.Keys;
using SignSvc.Backends.AwsKms.Wrapping;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Keys;
using SigningAlgorithm = SignSvc.Signing.Keys.SigningAlgorithm;

namespace SignSvc.Backends.AwsKms;

/// <summary>
/// Private keys in AWS KMS, in one account. Signing is one call and one try: <see cref="BudgetedBackend"/> around it
/// waits, repeats and falls back. Without that wrapper it falls back to a replica, and repeats nothing.
/// </summary>
public sealed class AwsKmsBackend
    : IKeyBackend, IImportsKeys, IAdoptsKeys, IDestroysKeys, IWrapsKeys, IMakesWrappedKeys, IMirrorsKeys, IKnowsKeyStates, IHasPlaces, IDisposable
{
    /// <summary>So long a key that KMS does not know may be on its way ("seconds, sometimes minutes").</summary>
    private static readonly TimeSpan Youth = TimeSpan.FromMinutes(5);

    private readonly AwsKmsOptions _options;
    private readonly KmsCalls _calls;
    private readonly UnrecordedKeys _unrecorded;
    private readonly KeyCreation _creation;
    private readonly KnownStates _states;
    private readonly KeyMirror _mirror;
    private readonly KmsWrapping _wrapping;
    private readonly TimeProvider _time;

    internal AwsKmsBackend(
        string name, AwsKmsOptions options, IReadOnlyDictionary<string, IAmazonKeyManagementService> clients, IKeyIntents intents, TimeProvider time)
    {
        Name = name;
        _options = options;
        _time = time;
        _calls = new KmsCalls(clients, time);
        _unrecorded = new UnrecordedKeys(name, options, _calls, intents, time);
        _creation = new KeyCreation(options, _calls, _unrecorded);
        _states = new KnownStates(_calls, time);
        _mirror = new KeyMirror(options, _calls, _states, time);
        _wrapping = new KmsWrapping(options, _calls);
        Grants = new KmsGrants(_calls);
    }

    /// <summary><c>aws-kms</c>, or <c>aws-kms:name</c> where there are several accounts.</summary>
    public string Name { get; }

    /// <summary>AWS's HSMs, but AWS's hands on them.</summary>
    public Protection Protection => Protection.Kms;

    public int MostTags => KmsTags.RoomIn(_options);

    public string HomePlace => _options.Region;

    /// <summary>AWS grants on single keys, for principals outside this service.</summary>
    public KmsGrants Grants { get; }

    /// <summary>Opens no connection and asks for no credentials yet: AWS may be down when the service starts.</summary>
    /// <exception cref="ValidationException">Lists every fault of the options.</exception>
    public static AwsKmsBackend Open(string name, AwsKmsOptions options, IKeyIntents intents, TimeProvider time) =>
        Open(name, options, intents, time, credentials: null);

    internal static AwsKmsBackend Open(string name, AwsKmsOptions options, IKeyIntents intents, TimeProvider time, AWSCredentials? credentials)
    {
        var faults = options.Validate();
        if (faults.Count > 0)
            throw new ValidationException($"AWS KMS options of {name}: {string.Join(" ", faults)}");
        return new AwsKmsBackend(name, options, KmsClients.Open(options, credentials, time), intents, time);
    }

    public Task<BackendKeyPair> CreateAsync(KeyPairRequest request, CancellationToken cancellationToken) =>
        _creation.CreateAsync(request, cancellationToken);

    public Task<BackendKeyPair> ImportAsync(KeyPairRequest request, ReadOnlyMemory<byte> pkcs8, CancellationToken cancellationToken) =>
        _creation.ImportAsync(request, pkcs8, cancellationToken);

    public Task<BackendKeyPair> AdoptAsync(KeyPairRequest request, string reference, CancellationToken cancellationToken) =>
        _creation.AdoptAsync(request, reference, cancellationToken);

    public TimeSpan LookEvery => TimeSpan.FromSeconds(_options.StateSurveySeconds);

    /// <summary>A replica's state is its own: one that goes on would sign for a key that was stopped in its own Region. So none is asked.</summary>
    public IReadOnlyList<string> PlacesOf(KeyVersion version)
    {
        var handle = KmsHandle.Of(version);
        return handle.IsMultiRegion && _states.Of(handle.Arn) is not { Signs: false } ? [.. _mirror.RegionsOf(handle)] : [handle.Region];
    }

    public BackendKeyState? StateOf(KeyVersion version) => KmsHandle.TryParse(version.Handle, out var handle) ? _states.Of(handle.Arn) : null;

    public Task LookAsync(KeyVersion version, CancellationToken cancellationToken) =>
        KmsHandle.TryParse(version.Handle, out var handle) ? _states.LookAsync(handle, IsYoung(version), cancellationToken) : Task.CompletedTask;

    public async ValueTask<BackendSignature> SignAsync(
        KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken)
    {
        var places = PlacesOf(version);
        for (var i = 0; ; i++)
        {
            try
            {
                return await SignAtAsync(places[i], version, algorithm, digest, cancellationToken);
            }
            catch (SigningException e) when (e.Fault == SigningFault.BackendUnavailable && i + 1 < places.Count)
            {
                continue;
            }
        }
    }

    public async ValueTask<BackendSignature> SignAtAsync(
        string place, KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken)
    {
        var handle = KmsHandle.Of(version);
        if (!version.PublicKey.Spec.CanSignWith(algorithm))
            throw new SigningException(SigningFault.AlgorithmMismatch, $"A {version.PublicKey.Spec} key cannot sign with {algorithm}.");
        if (digest.Length != algorithm.DigestLength)
            throw new SigningException(SigningFault.InvalidDigest, $"{algorithm} signs digests of {algorithm.DigestLength} bytes.");

        var isReplica = !string.Equals(place, handle.Region, StringComparison.Ordinal);
        Amazon.KeyManagementService.Model.SignResponse answer;
        try
        {
            answer = await AskAsync(place, handle, algorithm, digest, IsYoung(version), isReplica, cancellationToken);
        }
        catch (SigningException e) when (!isReplica && e.Is("DisabledException", "KMSInvalidStateException"))
        {
            throw await ExplainAsync(e, version, handle, cancellationToken);
        }

        if (!isReplica)
            _states.Signed(handle.Arn);
        return new BackendSignature(Read(answer.Signature.ToArray(), version.PublicKey.Spec), answer.ResponseMetadata?.RequestId);
    }

    private Task<Amazon.KeyManagementService.Model.SignResponse> AskAsync(
        string place, KmsHandle handle, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, bool isYoung, bool isReplica,
        CancellationToken cancellationToken) =>
        _calls.OnceAsync(
            place,
            (kms, cancel) => kms.SignAsync(
                new Amazon.KeyManagementService.Model.SignRequest
                {
                    KeyId = isReplica ? handle.ArnIn(place) : handle.Arn,
                    MessageType = MessageType.DIGEST,
                    Message = new MemoryStream(digest.ToArray()),
                    SigningAlgorithm = algorithm.KmsName,
                },
                cancel),
            cancellationToken,
            isYoung,
            isReplica);

    /// <summary>
    /// Why KMS does not let the key sign: stopped there, which no replica may get round, or one of KMS's nodes that does not
    /// know yet what the others do, which passes.
    /// </summary>
    private async Task<SigningException> ExplainAsync(SigningException refusal, KeyVersion version, KmsHandle handle, CancellationToken cancellationToken)
    {
        BackendKeyState? found;
        try
        {
            found = await _states.LookAsync(handle, IsYoung(version), cancellationToken);
        }
        catch (SigningException)
        {
            found = null;
        }

        return found switch
        {
            { Signs: true } or { Name: "creating" } => new SigningException(
                SigningFault.BackendUnavailable, $"AWS KMS in {handle.Region} does not know everywhere yet that the key may sign.", refusal.InnerException)
            {
                RetryAfter = TimeSpan.FromSeconds(1),
                BackendAnswered = true,
            },
            _ => new SigningException(
                SigningFault.KeyNotUsable, $"The key is disabled or pending deletion in AWS KMS in {handle.Region}.", refusal.InnerException),
        };
    }

    private bool IsYoung(KeyVersion version) => _time.GetUtcNow() - version.CreatedAt < Youth;

    public async Task DestroyAsync(KeyVersion version, CancellationToken cancellationToken)
    {
        if (!KmsHandle.TryParse(version.Handle, out var handle))
            return;
        var isKnown = await _mirror.EndAsync(handle.Arn, handle.IsMultiRegion, isOurs: version.Origin != KeyOrigin.Adopted, cancellationToken);
        // One that was made just now may not be known everywhere yet: its intent stays, by which it is ended later.
        if (isKnown || !IsYoung(version))
            await _unrecorded.EndedAsync(handle.Arn, cancellationToken);
    }

    public Task MirrorAsync(Key key, bool mayEnable, CancellationToken cancellationToken) =>
        _mirror.MirrorAsync(key, mayEnable, cancellationToken);

    public Task<byte[]> WrapAsync(ReadOnlyMemory<byte> secret, WrappingContext context, CancellationToken cancellationToken) =>
        _wrapping.WrapAsync(secret, context, cancellationToken);

    public Task<byte[]> UnwrapAsync(ReadOnlyMemory<byte> wrapped, WrappingContext context, CancellationToken cancellationToken) =>
        _wrapping.UnwrapAsync(wrapped, context, cancellationToken);

    public Task<byte[]> RewrapAsync(ReadOnlyMemory<byte> wrapped, WrappingContext context, CancellationToken cancellationToken) =>
        _wrapping.RewrapAsync(wrapped, context, cancellationToken);

    public Task<WrappedKeyPair> MakeWrappedAsync(KeyPairRequest request, CancellationToken cancellationToken) =>
        _wrapping.MakeWrappedAsync(request, cancellationToken);

    /// <summary>Turns the wrapping key's automatic rotation on; at start and once a day, under the lease.</summary>
    public Task EnsureWrappingKeyRotationAsync(CancellationToken cancellationToken) => _wrapping.EnsureRotationAsync(cancellationToken);

    /// <summary>
    /// Finds keys that were made and never recorded, and ends them, or hands them over. At start and every few minutes,
    /// under the lease: it asks AWS nothing while there are no intents.
    /// </summary>
    /// <param name="olderThan">Longer than the slowest way from CreateKey to the record; 15 minutes is plenty.</param>
    /// <param name="tryFinish">Records the pair as the intent's version, if that is still wanted; null: none is.</param>
    public Task<Reconciled> ReconcileAsync(
        TimeSpan olderThan, Func<KeyIntent, BackendKeyPair, CancellationToken, Task<bool>>? tryFinish, CancellationToken cancellationToken) =>
        _unrecorded.ReconcileAsync(
            olderThan,
            (arn, cancel) => _mirror.EndAsync(arn, isMultiRegion: arn.Contains(":key/mrk-", StringComparison.Ordinal), isOurs: true, cancel),
            tryFinish is null
                ? null
                : async (intent, arn, cancel) => await tryFinish(intent, await _creation.ReadPairAsync(arn, UnrecordedKeys.SpecOf(intent), cancel), cancel),
            cancellationToken);

    public void Dispose() => _calls.Dispose();

    /// <summary>KMS writes ECDSA signatures in DER.</summary>
    private static byte[] Read(byte[] signature, Signing.Keys.KeySpec spec)
    {
        if (spec.Family != KeyFamily.Ecc)
            return signature;
        return EcdsaEncoding.TryFromDer(signature, spec.FieldLength, out var p1363)
            ? p1363
            : throw new SigningException(SigningFault.BackendFailed, "AWS KMS answered with something that is no ECDSA signature.");
    }
}
