using Amazon.Runtime;
using Amazon.SecurityToken.Model;

namespace SignSvc.Backends.AwsKms.Access;

/// <summary>
/// Credentials of an assumed role, renewed before they expire. The SDK's own class takes neither another STS endpoint
/// nor one Region's.
/// </summary>
internal sealed class RoleCredentials : RefreshingAWSCredentials
{
    private readonly AwsKmsOptions _options;
    private readonly AWSCredentials? _source;
    private readonly TimeProvider _time;

    public RoleCredentials(AwsKmsOptions options, AWSCredentials? source, TimeProvider time)
    {
        _options = options;
        _source = source;
        _time = time;
        PreemptExpiryTime = TimeSpan.FromMinutes(5);
    }

    protected override CredentialsRefreshState GenerateNewCredentials() =>
        GenerateNewCredentialsAsync().GetAwaiter().GetResult();

    protected override async Task<CredentialsRefreshState> GenerateNewCredentialsAsync()
    {
        using var sts = KmsClients.OpenSts(_options, _source);
        var answer = await sts.AssumeRoleAsync(new AssumeRoleRequest
        {
            RoleArn = _options.RoleArn,
            ExternalId = _options.RoleExternalId,
            RoleSessionName = $"signsvc-{_options.Installation}"[..Math.Min(64, 8 + _options.Installation.Length)],
            DurationSeconds = 3600,
        });
        var expiration = answer.Credentials.Expiration?.ToUniversalTime() ?? _time.GetUtcNow().AddHours(1).UtcDateTime;
        return new CredentialsRefreshState(
            new ImmutableCredentials(answer.Credentials.AccessKeyId, answer.Credentials.SecretAccessKey, answer.Credentials.SessionToken),
            expiration);
    }
}
