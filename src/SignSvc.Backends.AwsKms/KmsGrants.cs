using Amazon.KeyManagementService.Model;
using SignSvc.Backends.AwsKms.Calls;
using SignSvc.Backends.AwsKms.Keys;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.AwsKms;

/// <summary>
/// AWS grants: leave for another AWS principal to use one KMS key without SignSvc, verifying or reading its public half,
/// say. A grant on a signing key cannot be narrowed (constraints are on encryption context alone), so Sign is not granted.
/// </summary>
public sealed class KmsGrants
{
    private readonly KmsCalls _calls;

    internal KmsGrants(KmsCalls calls) => _calls = calls;

    /// <summary>Lets a principal verify with, describe and read the public key of a version. In effect within five minutes.</summary>
    /// <param name="name">The same name, principal and key give the same grant again: repeating is safe.</param>
    /// <returns>The grant's id.</returns>
    public async Task<string> AllowVerifyingAsync(KeyVersion version, string principalArn, string name, CancellationToken cancellationToken)
    {
        var handle = KmsHandle.Of(version);
        var answer = await _calls.RepeatAsync(handle.Region, (kms, cancel) => kms.CreateGrantAsync(
            new CreateGrantRequest
            {
                KeyId = handle.Arn,
                GranteePrincipal = principalArn,
                Name = name,
                Operations = ["Verify", "DescribeKey", "GetPublicKey"],
            },
            cancel), cancellationToken);
        return answer.GrantId;
    }

    public async Task RevokeAsync(KeyVersion version, string grantId, CancellationToken cancellationToken)
    {
        var handle = KmsHandle.Of(version);
        await _calls.RepeatAsync(
            handle.Region, (kms, cancel) => kms.RevokeGrantAsync(new RevokeGrantRequest { KeyId = handle.Arn, GrantId = grantId }, cancel), cancellationToken);
    }
}
