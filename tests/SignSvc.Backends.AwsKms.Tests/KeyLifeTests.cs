using System.Collections.Immutable;
using SignSvc.Backends.AwsKms.Keys;
using SignSvc.Emulation.Faults;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Keys;
using KmsState = Amazon.KeyManagementService.KeyState;

namespace SignSvc.Backends.AwsKms.Tests;

public sealed class KeyLifeTests : IAsyncLifetime
{
    private EmulatedKms _kms = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _kms = await EmulatedKms.StartAsync();

    [Fact]
    public async Task State_tags_and_alias_of_a_key_are_mirrored()
    {
        using var backend = _kms.Open();
        using var kms = _kms.Client();
        var first = await VersionAsync(backend, 1);
        var key = KeyOf(first) with { Tags = ImmutableSortedDictionary<string, string>.Empty.Add("team", "build 1/a") };

        await backend.MirrorAsync(key, mayEnable: true, Cancel);
        await backend.MirrorAsync(key, mayEnable: true, Cancel);
        Assert.Equal(ArnOf(first), await AliasTargetAsync());
        var tags = (await kms.ListResourceTagsAsync(new() { KeyId = ArnOf(first) }, Cancel)).Tags.ToDictionary(t => t.TagKey, t => t.TagValue, StringComparer.Ordinal);
        Assert.Equal("build 1/a", tags["team"]);
        Assert.Equal(("test", "1", "release"), (tags["signsvc:installation"], tags["signsvc:version"], tags["signsvc:key-name"]));

        // Rotated: the alias follows the version that signs; the retired one could still sign, the removed one not.
        var second = await VersionAsync(backend, 2);
        await backend.MirrorAsync(key with { Versions = [first with { State = VersionState.Retired }, second] }, mayEnable: true, Cancel);
        Assert.Equal(ArnOf(second), await AliasTargetAsync());
        Assert.Equal(KmsState.Enabled, await StateAsync(first));
        await backend.MirrorAsync(key with { Versions = [first with { State = VersionState.Removed }, second] }, mayEnable: true, Cancel);
        Assert.Equal(KmsState.Disabled, await StateAsync(first));

        // A key of another type under the same name takes the alias over.
        var other = ActiveVersion.Of(await backend.CreateAsync(EmulatedKms.Request(KeySpec.Rsa2048), Cancel));
        await backend.MirrorAsync(KeyOf(other), mayEnable: true, Cancel);
        Assert.Equal(ArnOf(other), await AliasTargetAsync());

        foreach (var (state, expected) in new[]
        {
            (KeyState.Disabled, KmsState.Disabled), (KeyState.PendingDeletion, KmsState.PendingDeletion), (KeyState.Enabled, KmsState.Enabled),
        })
        {
            await backend.MirrorAsync(KeyOf(second) with { State = state, DeletesAt = TimeProvider.System.GetUtcNow().AddDays(10) }, mayEnable: true, Cancel);
            Assert.Equal(expected, await StateAsync(second));
        }

        // Somebody stopped it in AWS: no restart brings it back.
        await kms.DisableKeyAsync(ArnOf(second), Cancel);
        await backend.MirrorAsync(KeyOf(second), mayEnable: false, Cancel);
        Assert.Equal(KmsState.Disabled, await StateAsync(second));

        async Task<string> AliasTargetAsync() => (await kms.DescribeKeyAsync("alias/signsvc/test/release", Cancel)).KeyMetadata.Arn;
        async Task<KmsState> StateAsync(KeyVersion version) => (await kms.DescribeKeyAsync(ArnOf(version), Cancel)).KeyMetadata.KeyState;
    }

    [Fact]
    public async Task An_adopted_key_is_disabled_and_never_deleted()
    {
        using var backend = _kms.Open();
        using var kms = _kms.Client();
        var made = await VersionAsync(backend, 1);
        var adopted = ActiveVersion.Of(await backend.AdoptAsync(EmulatedKms.Request(KeySpec.P256), ArnOf(made), Cancel)) with { Origin = KeyOrigin.Adopted };
        await backend.DestroyAsync(adopted, Cancel);
        Assert.Equal(KmsState.Disabled, (await kms.DescribeKeyAsync(ArnOf(made), Cancel)).KeyMetadata.KeyState);

        await backend.DestroyAsync(made, Cancel);
        Assert.Equal(KmsState.PendingDeletion, (await kms.DescribeKeyAsync(ArnOf(made), Cancel)).KeyMetadata.KeyState);
    }

    [Fact]
    public async Task While_a_Region_is_down_its_keys_sign_in_another()
    {
        using var backend = _kms.OpenBudgeted(o => o.ReplicaRegions.Add("eu-west-1"));
        var key = ActiveVersion.Of(await backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel));
        _kms.Emulator.Faults.Add(Fault.Reset("Sign") with { Region = "eu-central-1" });
        for (var i = 0; i < 30; i++)
        {
            var digest = new byte[32];
            var signature = await backend.SignAsync(key, SigningAlgorithm.ES256, digest, Cancel);
            Assert.True(key.PublicKey.Verify(SigningAlgorithm.ES256, digest, signature.Value));
        }

        Assert.Equal(30, _kms.Emulator.Calls["Sign"].Succeeded);
        Assert.True(_kms.Emulator.Calls["Sign"].Received < 50, "The breaker keeps most calls from the Region that is down.");

        await backend.DestroyAsync(key, Cancel);
        _kms.Emulator.Faults.Clear();
        Assert.Equal(
            SigningFault.KeyNotUsable,
            (await Assert.ThrowsAsync<SigningException>(async () => await backend.SignAsync(key, SigningAlgorithm.ES256, new byte[32], Cancel))).Fault);
        using var there = _kms.Client("eu-west-1");
        Assert.Equal(KmsState.PendingDeletion, (await there.DescribeKeyAsync(ArnOf(key).Replace("eu-central-1", "eu-west-1", StringComparison.Ordinal), Cancel)).KeyMetadata.KeyState);
    }

    [Fact]
    public async Task A_replica_that_could_not_be_made_is_made_by_the_mirror()
    {
        using var backend = _kms.Open(o => o.ReplicaRegions.Add("eu-west-1"));
        _kms.Emulator.Faults.Add(Fault.Throttle("ReplicateKey") with { Times = 3 });
        var key = await VersionAsync(backend, 1);
        using var there = _kms.Client("eu-west-1");
        var arn = ArnOf(key).Replace("eu-central-1", "eu-west-1", StringComparison.Ordinal);
        await Assert.ThrowsAsync<Amazon.KeyManagementService.Model.NotFoundException>(() => there.DescribeKeyAsync(arn, Cancel));
        await backend.MirrorAsync(KeyOf(key), mayEnable: true, Cancel);
        Assert.Equal(KmsState.Enabled, (await there.DescribeKeyAsync(arn, Cancel)).KeyMetadata.KeyState);
    }

    [Fact]
    public async Task While_the_Region_of_its_replicas_is_down_a_key_is_stopped_and_started_in_its_own()
    {
        using var backend = _kms.OpenBudgeted(
            o => o.ReplicaRegions.Add("eu-west-1"),
            b => b with { Families = b.Families.ToDictionary(f => f.Key, f => f.Value with { BreakerFailures = 2 }, StringComparer.Ordinal) });
        using var kms = _kms.Client();
        var first = await MakeAsync(1);
        var second = await MakeAsync(2);
        var key = KeyOf(second) with { Versions = [first with { State = VersionState.Retired }, second] };
        await backend.MirrorAsync(key, mayEnable: true, Cancel);

        _kms.Emulator.Faults.Add(Fault.Reset("DescribeKey") with { Region = "eu-west-1" });
        foreach (var (state, expected) in new[] { (KeyState.Disabled, KmsState.Disabled), (KeyState.Enabled, KmsState.Enabled) })
        {
            var missed = await Assert.ThrowsAsync<SigningException>(() => backend.MirrorAsync(key with { State = state }, mayEnable: true, Cancel));
            Assert.Equal(SigningFault.BackendUnavailable, missed.Fault);
            foreach (var version in new[] { first, second })
                Assert.Equal(expected, (await kms.DescribeKeyAsync(ArnOf(version), Cancel)).KeyMetadata.KeyState);
        }

        // Its own Region is there all the while: keys are made in it as ever.
        Assert.All(backend.Budgets, b => Assert.Equal(BreakerState.Closed, b.Breaker));
        await MakeAsync(3);

        _kms.Emulator.Faults.Clear();
        await backend.MirrorAsync(key with { State = KeyState.Disabled }, mayEnable: true, Cancel);
        using var there = _kms.Client("eu-west-1");
        foreach (var version in new[] { first, second })
        {
            var arn = ArnOf(version).Replace("eu-central-1", "eu-west-1", StringComparison.Ordinal);
            Assert.Equal(KmsState.Disabled, (await there.DescribeKeyAsync(arn, Cancel)).KeyMetadata.KeyState);
        }

        async Task<KeyVersion> MakeAsync(int number) =>
            ActiveVersion.Of(await backend.CreateAsync(EmulatedKms.Request(KeySpec.P256, number, keyId: "key"), Cancel), number: number);
    }

    [Fact]
    public async Task A_key_pair_made_wrapped_opens_in_its_context_only_and_is_wrapped_anew_after_rotation()
    {
        var former = await _kms.MakeWrappingKeyAsync("alias/former");
        var present = await _kms.MakeWrappingKeyAsync("alias/present");
        using var before = _kms.Open(o => o.WrappingKey = "alias/former");
        var request = EmulatedKms.Request(KeySpec.P256) with { Purpose = KeyPurpose.Tokens };
        var made = await before.MakeWrappedAsync(request, Cancel);
        var context = new WrappingContext(request.KeyId, request.Version, KeyPurpose.Tokens);

        using var after = _kms.Open(o =>
        {
            o.WrappingKey = present;
            o.FormerWrappingKeys.Add(former);
        });
        using var opened = System.Security.Cryptography.ECDsa.Create();
        opened.ImportPkcs8PrivateKey(await after.UnwrapAsync(made.Wrapped, context, Cancel), out _);
        Assert.Equal(made.PublicKey.Spki.ToArray(), opened.ExportSubjectPublicKeyInfo());

        var rewrapped = await after.RewrapAsync(made.Wrapped, context, Cancel);
        using var without = _kms.Open(o => o.WrappingKey = present);
        Assert.NotEmpty(await without.UnwrapAsync(rewrapped, context, Cancel));
        Assert.Equal(
            SigningFault.BackendFailed,
            (await Assert.ThrowsAsync<SigningException>(() => without.UnwrapAsync(made.Wrapped, context, Cancel))).Fault);
        Assert.Equal(
            SigningFault.BackendFailed,
            (await Assert.ThrowsAsync<SigningException>(() => after.RewrapAsync(made.Wrapped, context with { Version = 2 }, Cancel))).Fault);

        await after.EnsureWrappingKeyRotationAsync(Cancel);
        await after.EnsureWrappingKeyRotationAsync(Cancel);
        Assert.Equal(1, _kms.Emulator.Calls["EnableKeyRotation"].Received);
    }

    [Fact]
    public async Task A_grant_asked_for_twice_by_name_is_one_grant()
    {
        using var backend = _kms.Open();
        var key = await VersionAsync(backend, 1);
        const string principal = "arn:aws:iam::444455556666:role/verifier";
        var grant = await backend.Grants.AllowVerifyingAsync(key, principal, "verifiers", Cancel);
        Assert.Equal(grant, await backend.Grants.AllowVerifyingAsync(key, principal, "verifiers", Cancel));
        await backend.Grants.RevokeAsync(key, grant, Cancel);
    }

    [Fact]
    public async Task Two_accounts_side_by_side_use_their_own_keys_and_a_role_is_assumed_where_one_is_named()
    {
        using var one = _kms.Open();
        using var two = _kms.Open(account: "444455556666");
        using var assumed = _kms.Open(o =>
        {
            o.RoleArn = "arn:aws:iam::777788889999:role/signsvc";
            o.RoleExternalId = "external";
        });
        foreach (var (backend, account) in new[] { (one, EmulatedKms.Account), (two, "444455556666"), (assumed, "777788889999") })
        {
            var key = await VersionAsync(backend, 1);
            Assert.Contains($":{account}:", ArnOf(key), StringComparison.Ordinal);
            await backend.SignAsync(key, SigningAlgorithm.ES256, new byte[32], Cancel);
        }

        var foreign = await VersionAsync(two, 1);
        var denied = await Assert.ThrowsAsync<SigningException>(async () => await one.SignAsync(foreign, SigningAlgorithm.ES256, new byte[32], Cancel));
        Assert.True(denied.Fault is SigningFault.BackendFailed or SigningFault.KeyNotUsable, $"{denied.Fault}");
    }

    public ValueTask DisposeAsync() => _kms.DisposeAsync();

    private static async Task<KeyVersion> VersionAsync(AwsKmsBackend backend, int number) => ActiveVersion.Of(
        await backend.CreateAsync(EmulatedKms.Request(KeySpec.P256, number, keyId: "key"), Cancel), number: number);

    private static Key KeyOf(KeyVersion version) => new()
    {
        Id = "key",
        Name = "release",
        Purpose = KeyPurpose.Artifacts,
        Tier = KeyTier.Assured,
        Backend = "aws-kms",
        Spec = version.PublicKey.Spec,
        Algorithms = version.PublicKey.Spec.Algorithms,
        State = KeyState.Enabled,
        CreatedAt = DateTimeOffset.UnixEpoch,
        Versions = [version],
    };

    private static string ArnOf(KeyVersion version) =>
        KmsHandle.TryParse(version.Handle, out var handle) ? handle.Arn : throw new InvalidOperationException(version.Handle);
}
