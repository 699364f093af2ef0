using System.Collections.Concurrent;
using System.Text.Json;
using Amazon.KeyManagementService.Model;
using SignSvc.Backends.AwsKms.Calls;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using KmsState = Amazon.KeyManagementService.KeyState;

namespace SignSvc.Backends.AwsKms.Keys;

/// <summary>
/// In what state KMS keys were found in their own Regions, on this node. The state of a replica is its own (AWS KMS developer
/// guide, "Multi-Region keys"): whether a key may sign is asked of the Region that it was made in.
/// </summary>
internal sealed class KnownStates(KmsCalls calls, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, BackendKeyState> _byArn = new(StringComparer.Ordinal);

    public BackendKeyState? Of(string arn) => _byArn.GetValueOrDefault(arn);

    /// <summary>Updating is the primary's move to another Region, in which it goes on signing.</summary>
    public BackendKeyState Found(string arn, KmsState state) => Remember(
        arn, JsonNamingPolicy.CamelCase.ConvertName(state.Value), signs: state == KmsState.Enabled || state == KmsState.Updating);

    /// <summary>It has just signed: nobody stops it any more.</summary>
    public void Signed(string arn)
    {
        if (_byArn.TryGetValue(arn, out var known) && !known.Signs)
            Found(arn, KmsState.Enabled);
    }

    /// <param name="isYoung">Made just now: that it is not found yet says nothing.</param>
    /// <exception cref="SigningException">KMS does not answer.</exception>
    public async Task<BackendKeyState?> LookAsync(KmsHandle handle, bool isYoung, CancellationToken cancellationToken)
    {
        try
        {
            var found = await calls.OnceAsync(
                handle.Region, (kms, cancel) => kms.DescribeKeyAsync(new DescribeKeyRequest { KeyId = handle.Arn }, cancel), cancellationToken);
            return Found(handle.Arn, found.KeyMetadata.KeyState);
        }
        catch (SigningException e) when (e.Is("NotFoundException"))
        {
            return isYoung ? null : Remember(handle.Arn, "gone", signs: false);
        }
    }

    private BackendKeyState Remember(string arn, string name, bool signs) => _byArn[arn] = new BackendKeyState(name, signs, time.GetUtcNow());
}
