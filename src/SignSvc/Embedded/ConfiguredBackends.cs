using SignSvc.Backends.AwsKms;
using SignSvc.Backends.Pkcs11;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Backends.Software;

namespace SignSvc.Embedded;

/// <summary>The backends that the settings name, and <c>software</c>, which is always there.</summary>
internal static class ConfiguredBackends
{
    /// <summary>
    /// Opens without waiting for anything remote: an HSM or an account that is away makes its own keys unavailable, not
    /// the service. A PKCS#11 backend bounds and retries its calls by itself and has no quota, so only AWS KMS is given budgets.
    /// </summary>
    /// <param name="intents">Null: the backends are opened to sign alone, and make no keys.</param>
    public static IKeyBackend[] Open(Settings.BackendSettings settings, RootKey rootKey, IKeyIntents? intents, TimeProvider time)
    {
        var backends = new List<IKeyBackend> { new SoftwareBackend("software", rootKey) };
        if (settings.Pkcs11 is not null)
            backends.Add(new Pkcs11Backend(settings.Pkcs11, time));
        foreach (var (instance, options) in settings.AwsKms)
        {
            var backend = AwsKmsBackend.Open(AwsKmsOptions.BackendName(instance), options, intents ?? new NoIntents(), time);
            backends.Add(new BudgetedBackend(backend, options.ToBudgets(), time));
        }

        return [.. backends];
    }

    /// <summary>Where no intent can be kept, no key may be made.</summary>
    private sealed class NoIntents : IKeyIntents
    {
        public Task PutAsync(KeyIntent intent, CancellationToken cancellationToken) => throw Refused();

        public Task RemoveAsync(string id, CancellationToken cancellationToken) => throw Refused();

        public Task<IReadOnlyList<KeyIntent>> ListAsync(string backend, CancellationToken cancellationToken) => throw Refused();

        public Task<bool> IsRecordedAsync(KeyIntent intent, string reference, CancellationToken cancellationToken) => throw Refused();

        private static SigningException Refused() => new(SigningFault.Unsupported, "No keys are made here.");
    }
}
