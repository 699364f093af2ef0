using System.Security.Cryptography;
using System.Text;
using SignSvc.Signing.Access;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tokens;

namespace SignSvc.Embedded;

/// <summary>
/// What an empty store is given, so that no other step stands before the first signature: an administrator, a key for
/// artifacts, a key for tokens, a token profile. An interrupted first start is completed by the next one, and of several
/// nodes on an empty store one does it.
/// </summary>
internal sealed class FirstStart(Node node, DataFolder folder)
{
    private const string FirstProfile = "default";

    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LeasePoll = TimeSpan.FromMilliseconds(200);

    /// <returns>The first administrator's token, if this start made it; it is in the data folder too.</returns>
    public async Task<string?> CompleteAsync(CancellationToken cancellationToken)
    {
        while (!IsComplete)
        {
            if (await node.Cluster.TryLeaseAsync("first-start", node.Name, Lease, cancellationToken) is not null)
                return await MakeWhatIsMissingAsync(cancellationToken);
            await Task.Delay(LeasePoll, node.Time, cancellationToken);
            await node.Live.RefreshAsync(cancellationToken);
        }

        return null;
    }

    private bool IsComplete => !node.Live.Current.Credentials.IsEmpty && HadProfile;

    /// <summary>What an operator deleted is not made again.</summary>
    private bool HadProfile =>
        !node.Live.Current.Profiles.IsEmpty || node.Live.Current.DocumentVersion(DocumentKind.Profile, FirstProfile) > 0;

    private async Task<string?> MakeWhatIsMissingAsync(CancellationToken cancellationToken)
    {
        // Another node may have held the lease and finished.
        await node.Live.RefreshAsync(cancellationToken);
        if (IsComplete)
            return null;
        var decisions = new Decisions(node.Audit, node.Live, node.Time);
        var keys = new KeyLifecycle(node.Live, decisions, node.Backends, new KeyRules(RequireHardware: false), node.Time);
        var token = node.Live.Current.Credentials.IsEmpty ? await MakeAdministratorAsync(decisions, cancellationToken) : null;
        if (!node.Settings.RequireHardware)
            await MakeKeyAsync(keys, "release", KeyPurpose.Artifacts, KeyTier.Assured, cancellationToken);
        await MakeKeyAsync(keys, "tokens", KeyPurpose.Tokens, KeyTier.Volume, cancellationToken);
        await MakeProfileAsync(decisions, cancellationToken);
        return token;
    }

    /// <summary>
    /// The file is durable before the credential counts: a crash in between leaves a file that opens nothing, and the
    /// next start makes a new one; the other way round nobody could ever enter.
    /// </summary>
    private async Task<string> MakeAdministratorAsync(Decisions decisions, CancellationToken cancellationToken)
    {
        var (credential, token) = Credential.Create("bootstrap", [Role.Admin], node.Time.GetUtcNow(), expiresAt: null);
        var bytes = Encoding.ASCII.GetBytes(token);
        DurableFile.Write(folder.BootstrapCredential, bytes);
        CryptographicOperations.ZeroMemory(bytes);
        var record = decisions.Draft(Caller.Service, Actions.CredentialsCreate, "credential/bootstrap");
        await decisions.ChangeAsync(Caller.Service, record, async permit =>
            await node.Live.ChangeAsync(permit, record, cancellationToken, Change.Of(credential, Snapshot.Empty)));
        return token;
    }

    private async Task MakeKeyAsync(
        KeyLifecycle keys, string name, KeyPurpose purpose, KeyTier tier, CancellationToken cancellationToken)
    {
        if (!node.Live.Current.Keys.TryGet(name, out _))
        {
            await keys.CreateAsync(
                Caller.Service, NewKey.Parse(name, purpose, tier, "software", "ECC_NIST_P256", algorithms: null), cancellationToken);
        }
    }

    private async Task MakeProfileAsync(Decisions decisions, CancellationToken cancellationToken)
    {
        if (HadProfile)
            return;
        var profile = new TokenProfile
        {
            Name = FirstProfile,
            KeyId = "",
            Audiences = ["*"],
            DefaultLifetimeSeconds = 300,
            MaxLifetimeSeconds = 3600,
        };
        await new TokenProfiles(node.Live, decisions, node.Store, node.Time).PutAsync(Caller.Service, "tokens", profile, cancellationToken);
    }
}
