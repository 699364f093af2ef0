using System.Security.Cryptography;
using SignSvc.Signing.Access;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Storage.Tests;

public abstract partial class StoreContract
{
    private const string Arn = "arn:aws:kms:eu-central-1:111122223333:key/one";

    [Fact]
    public async Task An_intent_is_there_for_every_node_and_after_a_restart_until_it_is_removed()
    {
        await using var a = await IntentNode.OpenAsync(Store, "a");
        await using var b = await IntentNode.OpenAsync(Store, "b");
        var intent = new KeyIntent("i1", "aws-kms", "k1", 1, "ECC_NIST_P256", DateTimeOffset.UnixEpoch);
        await a.Intents.PutAsync(intent, Cancel);
        Assert.Equal([intent], await b.Intents.ListAsync("aws-kms", Cancel));
        Assert.Empty(await b.Intents.ListAsync("aws-kms:other", Cancel));

        var made = intent with { Reference = Arn };
        await b.Intents.PutAsync(made, Cancel);
        await using (var restarted = await OpenAsync())
        {
            await using var c = await IntentNode.OpenAsync(restarted, "c");
            Assert.Equal([made], await c.Intents.ListAsync("aws-kms", Cancel));
        }

        await a.Intents.RemoveAsync("i1", Cancel);
        await b.Intents.RemoveAsync("i1", Cancel);
        await b.Intents.RemoveAsync("unknown", Cancel);
        Assert.Empty(await a.Intents.ListAsync("aws-kms", Cancel));
        Assert.Empty(await b.Intents.ListAsync("aws-kms", Cancel));
    }

    [Fact]
    public async Task Intents_that_come_together_all_get_a_place_and_give_it_back()
    {
        await using var a = await IntentNode.OpenAsync(Store, "a");
        await using var b = await IntentNode.OpenAsync(Store, "b");
        for (var round = 0; round < 2; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, 16).Select(i =>
                a.Intents.PutAsync(new KeyIntent($"i{i}", "aws-kms", "k", i, "RSA_2048", DateTimeOffset.UnixEpoch), Cancel)));
            Assert.Equal(16, (await b.Intents.ListAsync("aws-kms", Cancel)).Count);
            await Task.WhenAll(Enumerable.Range(0, 16).Select(i => b.Intents.RemoveAsync($"i{i}", Cancel)));
            Assert.Empty(await a.Intents.ListAsync("aws-kms", Cancel));
        }

        // Places are used again: documents do not become more.
        Assert.InRange((await Store.ReadStateAsync(0, Cancel)).Documents.Count(d => string.Equals(d.Kind, DocumentKind.KeyIntent, StringComparison.Ordinal)), 1, 16);
    }

    [Fact]
    public async Task A_version_that_another_node_recorded_just_now_is_recorded()
    {
        await using var a = await IntentNode.OpenAsync(Store, "a");
        await using var b = await IntentNode.OpenAsync(Store, "b");
        var intent = new KeyIntent("i1", "aws-kms", "k1", 1, "ECC_NIST_P256", DateTimeOffset.UnixEpoch, Arn);
        Assert.False(await a.Intents.IsRecordedAsync(intent, Arn, Cancel));
        await b.RecordAsync("k1", $"{Arn}#kid");
        Assert.True(await a.Intents.IsRecordedAsync(intent, Arn, Cancel));
        Assert.False(await a.Intents.IsRecordedAsync(intent, Arn[..^1], Cancel));
        Assert.False(await a.Intents.IsRecordedAsync(intent, $"{Arn}#", Cancel));
    }

    /// <summary>One node's view of the store, as the service has it.</summary>
    private sealed class IntentNode : IAsyncDisposable
    {
        private readonly AuditLog _audit;
        private readonly LiveSnapshot _live;
        private readonly Decisions _decisions;

        private IntentNode(AuditLog audit, LiveSnapshot live)
        {
            _audit = audit;
            _live = live;
            _decisions = new Decisions(audit, live, TimeProvider.System);
            Intents = new StoredKeyIntents(live, _decisions);
        }

        public StoredKeyIntents Intents { get; }

        public static async Task<IntentNode> OpenAsync(IStore store, string node)
        {
            var limits = new AuditLimits { CommitTimeout = TimeSpan.FromSeconds(20) };
            var audit = await AuditLog.OpenAsync(store, new AuditChain(new byte[32]), node, limits, TimeProvider.System, Cancel);
            return new IntentNode(audit, await LiveSnapshot.OpenAsync(store, audit, new DocumentSeal(new byte[32]), Cancel));
        }

        public async Task<string> RecordAsync(string keyId, string handle)
        {
            using var pair = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var version = new KeyVersion
            {
                KeyId = keyId,
                Number = 1,
                PublicKey = PublicKey.FromSpki(pair.ExportSubjectPublicKeyInfo()),
                Handle = handle,
                Protection = Protection.Kms,
                State = VersionState.Active,
                CreatedAt = DateTimeOffset.UnixEpoch,
                SignsFrom = DateTimeOffset.UnixEpoch,
            };
            var key = new Key
            {
                Id = keyId,
                Name = "release",
                Purpose = KeyPurpose.Artifacts,
                Tier = KeyTier.Assured,
                Backend = "aws-kms",
                Spec = KeySpec.P256,
                Algorithms = KeySpec.P256.Algorithms,
                State = KeyState.Enabled,
                CreatedAt = DateTimeOffset.UnixEpoch,
                Versions = [version],
            };
            var record = _decisions.Draft(Caller.Service, Actions.KeysCreate);
            return await _decisions.ChangeAsync(Caller.Service, record, async permit =>
                await _live.ChangeAsync(permit, record, Cancel, Change.Of(key, Snapshot.Empty)));
        }

        public async ValueTask DisposeAsync()
        {
            await _audit.DisposeAsync();
            _live.Dispose();
        }
    }
}
