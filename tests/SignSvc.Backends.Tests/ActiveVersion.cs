using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Tests;

/// <summary>A key pair of a backend as a version that signs, since ever and for good.</summary>
internal static class ActiveVersion
{
    public static KeyVersion Of(BackendKeyPair pair, string keyId = "key", int number = 1) => new()
    {
        KeyId = keyId,
        Number = number,
        PublicKey = pair.PublicKey,
        Handle = pair.Handle,
        Protection = pair.Protection,
        State = VersionState.Active,
        CreatedAt = DateTimeOffset.UnixEpoch,
        SignsFrom = DateTimeOffset.UnixEpoch,
    };
}
