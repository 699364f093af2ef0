using System.Collections.Concurrent;
using System.Security.Cryptography;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Tests;

/// <summary>
/// What every backend keeps (<see cref="IKeyBackend"/>), run against the real thing. A backend's suite derives from it,
/// names its abilities and specs, and adds what is its own. Keys are made once for each suite: some take seconds.
/// </summary>
public abstract partial class KeyBackendContract
{
    private static readonly ConcurrentDictionary<(Type, string), Lazy<Task<(KeyVersion Version, BackendKeyPair Pair)>>> Made = new();

    /// <summary>The same instance for all tests of the suite.</summary>
    protected abstract IKeyBackend Backend { get; }

    /// <summary>Exactly the ability interfaces that it implements.</summary>
    protected abstract IReadOnlySet<Type> Abilities { get; }

    /// <summary>Specs that it can make; creating any other has to be refused.</summary>
    protected virtual IReadOnlyList<KeySpec> Specs => KeySpec.All;

    /// <summary>A second instance over the same keys, as after a restart.</summary>
    protected abstract Task<IKeyBackend> OpenAnotherAsync();

    /// <summary>The name under which an existing key can be adopted.</summary>
    protected virtual string ReferenceTo(BackendKeyPair pair) => pair.Handle;

    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static TheoryData<string, string> SpecsAndAlgorithms()
    {
        var data = new TheoryData<string, string>();
        foreach (var spec in KeySpec.All)
        {
            foreach (var algorithm in spec.Algorithms)
                data.Add(spec.Name, algorithm.Name);
        }

        return data;
    }

    public static TheoryData<string> AllSpecs() => [.. KeySpec.All.Select(s => s.Name)];

    [Fact]
    public void It_has_the_abilities_it_claims()
    {
        Type[] all = [typeof(IImportsKeys), typeof(IAdoptsKeys), typeof(IDestroysKeys), typeof(IWrapsKeys)];
        Assert.Equal(Abilities, all.Where(a => a.IsInstanceOfType(Backend)).ToHashSet());
    }

    [Theory]
    [MemberData(nameof(SpecsAndAlgorithms))]
    public async Task A_created_key_signs_what_its_public_key_verifies(string specName, string algorithmName)
    {
        var spec = KeySpec.Parse(specName);
        var algorithm = SigningAlgorithm.Parse(algorithmName);
        if (!Specs.Contains(spec))
        {
            var refused = await Assert.ThrowsAsync<SigningException>(() => Backend.CreateAsync(Request(spec), Cancel));
            Assert.Equal(SigningFault.Unsupported, refused.Fault);
            return;
        }

        var key = await KeyAsync(spec);
        Assert.Same(spec, key.PublicKey.Spec);
        await AssertSignsAsync(Backend, key, algorithm);
    }

    [Fact]
    public async Task A_created_key_claims_no_more_than_the_backend()
    {
        await KeyAsync(Specs[^1]);
        var (_, pair) = await Made[(GetType(), Specs[^1].Name)].Value;
        Assert.True(pair.Protection <= Backend.Protection);
    }

    [Fact]
    public async Task A_created_key_signs_after_a_restart()
    {
        var key = await KeyAsync(KeySpec.P256);
        var another = await OpenAnotherAsync();
        try
        {
            await AssertSignsAsync(another, key, SigningAlgorithm.ES256);
        }
        finally
        {
            if (another is IAsyncDisposable async)
                await async.DisposeAsync();
            else
                (another as IDisposable)?.Dispose();
        }
    }

    [Fact]
    public async Task Asked_twice_it_makes_two_keys()
    {
        var request = Request(KeySpec.P256);
        var first = await Backend.CreateAsync(request, Cancel);
        var second = await Backend.CreateAsync(request, Cancel);
        Assert.NotEqual(first.Handle, second.Handle, StringComparer.Ordinal);
        Assert.NotEqual(first.PublicKey.Kid, second.PublicKey.Kid, StringComparer.Ordinal);
    }

    [Fact]
    public async Task Signatures_made_at_once_each_belong_to_their_key_and_digest()
    {
        var keys = new[] { await KeyAsync(KeySpec.P256), await NewKeyAsync(KeySpec.P256), await KeyAsync(KeySpec.Rsa2048) };
        await Parallel.ForEachAsync(Enumerable.Range(0, 300), new ParallelOptions { MaxDegreeOfParallelism = 32, CancellationToken = Cancel },
            async (i, _) => await AssertSignsAsync(Backend, keys[i % keys.Length], keys[i % keys.Length].PublicKey.Spec.Algorithms[0]));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(31)]
    [InlineData(33)]
    [InlineData(64)]
    public async Task A_digest_of_another_length_is_refused(int length)
    {
        var key = await KeyAsync(KeySpec.P256);
        var refused = await Assert.ThrowsAsync<SigningException>(
            async () => await Backend.SignAsync(key, SigningAlgorithm.ES256, new byte[length], Cancel));
        Assert.Equal(SigningFault.InvalidDigest, refused.Fault);
    }

    [Fact]
    public async Task An_algorithm_of_another_spec_is_refused()
    {
        var key = await KeyAsync(KeySpec.P256);
        foreach (var algorithm in new[] { SigningAlgorithm.ES384, SigningAlgorithm.RS256, SigningAlgorithm.PS512 })
        {
            var refused = await Assert.ThrowsAsync<SigningException>(
                async () => await Backend.SignAsync(key, algorithm, new byte[algorithm.DigestLength], Cancel));
            Assert.Equal(SigningFault.AlgorithmMismatch, refused.Fault);
        }
    }

    [Fact]
    public async Task A_tampered_or_unknown_handle_makes_no_signature()
    {
        var key = await KeyAsync(KeySpec.P256);
        var other = await NewKeyAsync(KeySpec.P256);
        await AssertSignsAsync(Backend, key, SigningAlgorithm.ES256);
        var handle = key.Handle!;
        string?[] wrong =
        [
            null, "", "x", handle[..^2], handle + handle[^2..], other.Handle,
            handle[..(handle.Length / 2)] + (handle[handle.Length / 2] == '0' ? '1' : '0') + handle[(handle.Length / 2 + 1)..],
        ];
        foreach (var tampered in wrong)
        {
            var refused = await Assert.ThrowsAsync<SigningException>(
                async () => await Backend.SignAsync(key with { Handle = tampered }, SigningAlgorithm.ES256, new byte[32], Cancel));
            Assert.True(refused.Fault is SigningFault.KeyNotUsable or SigningFault.BackendFailed, $"{tampered}: {refused.Fault}");
        }

        await AssertSignsAsync(Backend, key, SigningAlgorithm.ES256);
    }

    [Fact]
    public async Task A_cancelled_call_ends_as_cancelled_and_harms_no_other()
    {
        var key = await KeyAsync(KeySpec.P256);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await Backend.SignAsync(key, SigningAlgorithm.ES256, new byte[32], new CancellationToken(canceled: true)));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => Backend.CreateAsync(Request(KeySpec.P256), new CancellationToken(canceled: true)));

        await Parallel.ForEachAsync(Enumerable.Range(0, 200), new ParallelOptions { MaxDegreeOfParallelism = 16, CancellationToken = Cancel },
            async (i, _) =>
            {
                using var cancel = new CancellationTokenSource();
                var pending = Backend.SignAsync(key, SigningAlgorithm.ES256, RandomNumberGenerator.GetBytes(32), cancel.Token);
                if (i % 2 == 0)
                    await cancel.CancelAsync();
                try
                {
                    await pending;
                }
                catch (OperationCanceledException) when (i % 2 == 0)
                {
                    // The one or the other: the signature may have been quicker.
                }

                await AssertSignsAsync(Backend, key, SigningAlgorithm.ES256);
            });
    }

    /// <summary>A reference of the right form to nothing.</summary>
    protected virtual string UnknownReference => "no-such-key";

    protected static KeyPairRequest Request(KeySpec spec) =>
        new(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8)), 1, "contract", spec, KeyPurpose.Artifacts);

    protected static async Task AssertSignsAsync(IKeyBackend backend, KeyVersion key, SigningAlgorithm algorithm)
    {
        var digest = RandomNumberGenerator.GetBytes(algorithm.DigestLength);
        var signature = await backend.SignAsync(key, algorithm, digest, Cancel);
        Assert.True(key.PublicKey.Verify(algorithm, digest, signature.Value), $"{algorithm} by {key.PublicKey.Spec}");
    }

    protected static AsymmetricAlgorithm OutsideKey(KeySpec spec) =>
        spec.Family == KeyFamily.Ecc ? ECDsa.Create(spec.Curve) : RSA.Create(spec.Bits);

    /// <summary>The suite's key of a spec, made when it is first asked for.</summary>
    protected async Task<KeyVersion> KeyAsync(KeySpec spec) => (await Made.GetOrAdd(
        (GetType(), spec.Name), _ => new(async () =>
        {
            var pair = await Backend.CreateAsync(Request(spec), CancellationToken.None);
            return (ActiveVersion.Of(pair), pair);
        })).Value).Version;

    protected async Task<KeyVersion> NewKeyAsync(KeySpec spec) => ActiveVersion.Of(await Backend.CreateAsync(Request(spec), Cancel));
}
