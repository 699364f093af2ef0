using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tests.Keys;

namespace SignSvc.Signing.Tests.Backends.Software;

/// <summary>Interleavings of signing and the end of a version, forced by a wrapping key that answers when it is told to.</summary>
public sealed class SoftwareBackendTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_version_that_ends_while_its_key_is_being_unwrapped_signs_nothing_and_is_not_unwrapped_again()
    {
        using var root = RootKey.Generate();
        var wrapping = new HeldWrapping(root);
        using var backend = new SoftwareBackend("software", wrapping);
        var version = await NewVersionAsync(backend);

        var signing = SignAsync(backend, version);
        await wrapping.Asked.Task.WaitAsync(Cancel);
        backend.Forget(version);
        wrapping.MayAnswer.SetResult();

        Assert.Equal(SigningFault.KeyNotUsable, (await Assert.ThrowsAsync<SigningException>(() => signing)).Fault);
        Assert.Equal(SigningFault.KeyNotUsable, (await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend, version))).Fault);
        Assert.Equal(SigningFault.KeyNotUsable, (await Assert.ThrowsAsync<SigningException>(() => backend.PrepareAsync(version, Cancel))).Fault);
        Assert.Equal(1, wrapping.Unwrapped);
    }

    [Fact]
    public async Task A_volume_key_is_zeroed_one_preparation_after_it_retired_and_at_once_when_it_is_revoked()
    {
        await using var node = await SimulatedNode.StartAsync(root => new SoftwareBackend("software", root), Cancel);
        await node.Keys.CreateAsync(
            SimulatedNode.Operator,
            NewKey.Parse("k", KeyPurpose.Tokens, tier: null, backend: null, "ECC_NIST_P256", algorithms: null, rotation: new RotationWish(LeadSeconds: 0)),
            Cancel);
        await node.TickAsync(Cancel);
        var backend = (SoftwareBackend)node.Backend;
        var first = node.Key("k").Versions[0];
        await SignAsync(backend, first);

        await node.Scheduler.AdvanceAsync(await node.Rotation.RotateAsync(SimulatedNode.Operator, "k", Cancel), Cancel);
        await node.TickAsync(Cancel);
        // A request that began before the version retired is served.
        await SignAsync(backend, first);
        await node.TickAsync(Cancel);
        Assert.Equal(SigningFault.KeyNotUsable, (await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend, first))).Fault);

        var second = node.Key("k").Versions[1];
        await SignAsync(backend, second);
        await node.Rotation.RevokeAsync(SimulatedNode.Operator, "k", 2, RevocationReason.Compromised, Cancel);
        await node.TickAsync(Cancel);
        Assert.Equal(SigningFault.KeyNotUsable, (await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend, second))).Fault);
    }

    private static async Task SignAsync(SoftwareBackend backend, KeyVersion version) =>
        await backend.SignAsync(version, SigningAlgorithm.ES256, new byte[32], Cancel);

    private static async Task<KeyVersion> NewVersionAsync(SoftwareBackend backend) =>
        ActiveVersion.Of(await backend.CreateAsync(new KeyPairRequest("k", 1, "k", KeySpec.P256, KeyPurpose.Tokens), Cancel), "k");

    private sealed class HeldWrapping(RootKey root) : IWrapsKeys
    {
        public TaskCompletionSource Asked { get; } = new();

        public TaskCompletionSource MayAnswer { get; } = new();

        public int Unwrapped { get; private set; }

        public Task<byte[]> WrapAsync(ReadOnlyMemory<byte> secret, WrappingContext context, CancellationToken cancellationToken) =>
            root.WrapAsync(secret, context, cancellationToken);

        public async Task<byte[]> UnwrapAsync(ReadOnlyMemory<byte> wrapped, WrappingContext context, CancellationToken cancellationToken)
        {
            Unwrapped++;
            Asked.SetResult();
            await MayAnswer.Task.WaitAsync(cancellationToken);
            return await root.UnwrapAsync(wrapped, context, cancellationToken);
        }
    }
}
