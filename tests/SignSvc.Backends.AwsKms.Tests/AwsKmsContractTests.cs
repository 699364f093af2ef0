using SignSvc.Backends.AwsKms.Keys;
using SignSvc.Signing.Backends;

namespace SignSvc.Backends.AwsKms.Tests;

/// <summary>The backend contract, on the emulator.</summary>
public sealed class AwsKmsContractTests(AwsKmsContractTests.Account account) : KeyBackendContract, IClassFixture<AwsKmsContractTests.Account>
{
    protected override IKeyBackend Backend => account.Backend;

    protected override IReadOnlySet<Type> Abilities { get; } =
        new HashSet<Type> { typeof(IImportsKeys), typeof(IAdoptsKeys), typeof(IDestroysKeys), typeof(IWrapsKeys) };

    protected override string UnknownReference => "alias/no-such-key";

    protected override Task<IKeyBackend> OpenAnotherAsync() => Task.FromResult<IKeyBackend>(account.Open());

    protected override string ReferenceTo(BackendKeyPair pair) =>
        KmsHandle.TryParse(pair.Handle, out var handle) ? handle.Arn : throw new InvalidOperationException(pair.Handle);

    public sealed class Account : IAsyncLifetime
    {
        private EmulatedKms _kms = null!;

        public AwsKmsBackend Backend { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            _kms = await EmulatedKms.StartAsync();
            await _kms.MakeWrappingKeyAsync();
            Backend = Open();
        }

        internal AwsKmsBackend Open() => _kms.Open(o =>
        {
            o.WrappingKey = "alias/signsvc-wrapping";
            // The emulator makes RSA-4096 keys with this machine's processor.
            o.CallTimeoutMilliseconds = 120_000;
        });

        public async ValueTask DisposeAsync()
        {
            Backend.Dispose();
            await _kms.DisposeAsync();
        }
    }
}
