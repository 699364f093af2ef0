using System.Collections.Concurrent;
using Amazon.Runtime;
using SignSvc.Emulation;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Keys;
using SignSvc.Tests.Shared;

namespace SignSvc.Backends.AwsKms.Tests;

/// <summary>An emulator with its own world, and backends in its account.</summary>
internal sealed class EmulatedKms : IAsyncDisposable
{
    public const string Account = "111122223333";

    private EmulatedKms(KmsEmulator emulator) => Emulator = emulator;

    public KmsEmulator Emulator { get; private set; }

    public MemoryIntents Intents { get; } = new();

    /// <summary>On a port that is its own also while it is down.</summary>
    public static async Task<EmulatedKms> StartAsync(KmsEmulatorOptions? options = null)
    {
        var url = new Uri($"http://127.0.0.1:{FreePort.Next()}");
        var started = new EmulatedKms(await KmsEmulator.StartAsync((options ?? new KmsEmulatorOptions()) with { Url = url }));
        started.Emulator.Quotas.Enforced = false;
        return started;
    }

    public AwsKmsOptions Options(Action<AwsKmsOptions>? change = null)
    {
        var options = new AwsKmsOptions { Region = "eu-central-1", Installation = "test", ServiceUrl = Emulator.Uri };
        change?.Invoke(options);
        return options;
    }

    public AwsKmsBackend Open(Action<AwsKmsOptions>? change = null, TimeProvider? time = null, string account = Account) =>
        AwsKmsBackend.Open("aws-kms", Options(change), Intents, time ?? TimeProvider.System, new BasicAWSCredentials(account, "any"));

    public BudgetedBackend OpenBudgeted(Action<AwsKmsOptions>? change = null, Func<BudgetOptions, BudgetOptions>? budgets = null)
    {
        var options = Options(change);
        var inner = AwsKmsBackend.Open("aws-kms", options, Intents, TimeProvider.System, new BasicAWSCredentials(Account, "any"));
        return new BudgetedBackend(inner, budgets is null ? options.ToBudgets() : budgets(options.ToBudgets()), TimeProvider.System);
    }

    /// <summary>A symmetric key with the alias that the tests' options name.</summary>
    public async Task<string> MakeWrappingKeyAsync(string alias = "alias/signsvc-wrapping")
    {
        using var kms = Client();
        var key = (await kms.CreateKeyAsync(new Amazon.KeyManagementService.Model.CreateKeyRequest())).KeyMetadata;
        await kms.CreateAliasAsync(alias, key.KeyId);
        return key.Arn;
    }

    public Amazon.KeyManagementService.AmazonKeyManagementServiceClient Client(string region = "eu-central-1", RequestRetryMode mode = RequestRetryMode.Standard) => new(
        new BasicAWSCredentials(Account, "any"),
        new Amazon.KeyManagementService.AmazonKeyManagementServiceConfig
        {
            ServiceURL = Emulator.Uri.ToString(),
            AuthenticationRegion = region,
            RetryMode = mode,
        });

    public static KeyPairRequest Request(KeySpec spec, int version = 1, string? keyId = null) =>
        new(keyId ?? Convert.ToHexStringLower(System.Security.Cryptography.RandomNumberGenerator.GetBytes(8)), version, "release", spec, KeyPurpose.Artifacts);

    public static Key KeyOf(KeyVersion version, KeyState state) => new()
    {
        Id = "key",
        Name = "release",
        Purpose = KeyPurpose.Artifacts,
        Tier = KeyTier.Assured,
        Backend = "aws-kms",
        Spec = version.PublicKey.Spec,
        Algorithms = version.PublicKey.Spec.Algorithms,
        State = state,
        CreatedAt = DateTimeOffset.UnixEpoch,
        Versions = [version],
    };

    /// <summary>The process ends, and another takes its place at the same address with the same keys.</summary>
    public async Task RestartAsync(Func<Task>? whileDown = null)
    {
        var options = Emulator.Options with { Url = Emulator.Uri };
        await Emulator.DisposeAsync();
        if (whileDown is not null)
            await whileDown();
        Emulator = await KmsEmulator.StartAsync(options);
        Emulator.Quotas.Enforced = false;
    }

    public ValueTask DisposeAsync() => Emulator.DisposeAsync();
}

/// <summary>Intents in memory. <see cref="Recorded"/> stands for the store of key versions.</summary>
internal sealed class MemoryIntents : IKeyIntents
{
    private readonly ConcurrentDictionary<string, KeyIntent> _intents = new(StringComparer.Ordinal);

    /// <summary>What is recorded, by ARN; null: everything.</summary>
    public ConcurrentDictionary<string, bool>? Recorded { get; set; }

    public int Count => _intents.Count;

    public Task PutAsync(KeyIntent intent, CancellationToken cancellationToken)
    {
        _intents[intent.Id] = intent;
        return Task.CompletedTask;
    }

    public Task RemoveAsync(string id, CancellationToken cancellationToken)
    {
        _intents.TryRemove(id, out _);
        return Task.CompletedTask;
    }

    public Task<IReadOnlyList<KeyIntent>> ListAsync(string backend, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<KeyIntent>>([.. _intents.Values.Where(i => string.Equals(i.Backend, backend, StringComparison.Ordinal))]);

    public Task<bool> IsRecordedAsync(KeyIntent intent, string arn, CancellationToken cancellationToken) =>
        Task.FromResult(Recorded is null || Recorded.ContainsKey(arn));
}
