using SignSvc.Backends.Pkcs11;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;

namespace SignSvc.Embedded;

/// <summary>The backends that the settings name, and <c>software</c>, which is always there.</summary>
internal static class ConfiguredBackends
{
    /// <summary>Opens without waiting for an HSM: one that is away makes its own keys unavailable, not the service.</summary>
    public static IKeyBackend[] Open(Settings.BackendSettings settings, RootKey rootKey, TimeProvider time)
    {
        var backends = new List<IKeyBackend> { new SoftwareBackend("software", rootKey) };
        if (settings.Pkcs11 is not null)
            backends.Add(new Pkcs11Backend(settings.Pkcs11, time));
        return [.. backends];
    }
}
