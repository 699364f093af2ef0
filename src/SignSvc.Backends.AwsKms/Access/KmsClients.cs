using Amazon;
using Amazon.KeyManagementService;
using Amazon.Runtime;
using Amazon.SecurityToken;

namespace SignSvc.Backends.AwsKms.Access;

/// <summary>
/// Clients as AWS users expect them: credentials from the default chain (environment, web identity, profile, container,
/// instance) or a named profile, renewed by the SDK, and on top of them a role where one is named.
/// </summary>
internal static class KmsClients
{
    /// <param name="credentials">In place of the default chain.</param>
    public static IReadOnlyDictionary<string, IAmazonKeyManagementService> Open(AwsKmsOptions options, AWSCredentials? credentials, TimeProvider time)
    {
        var source = credentials;
        if (options.RoleArn is not null)
            source = new RoleCredentials(options, source, time);
        return options.ReplicaRegions.Prepend(options.Region).ToDictionary(
            region => region,
            region =>
            {
                var config = Configure(new AmazonKeyManagementServiceConfig { MaxConnectionsPerServer = options.ConnectionLimit }, options, region);
                return (IAmazonKeyManagementService)(source is null
                    ? new AmazonKeyManagementServiceClient(config)
                    : new AmazonKeyManagementServiceClient(source, config));
            },
            StringComparer.Ordinal);
    }

    /// <summary>For the role's own credentials; the endpoint is the home Region's, never the global one.</summary>
    public static IAmazonSecurityTokenService OpenSts(AwsKmsOptions options, AWSCredentials? credentials)
    {
        var config = Configure(new AmazonSecurityTokenServiceConfig(), options, options.Region);
        return credentials is null ? new AmazonSecurityTokenServiceClient(config) : new AmazonSecurityTokenServiceClient(credentials, config);
    }

    private static TConfig Configure<TConfig>(TConfig config, AwsKmsOptions options, string region)
        where TConfig : ClientConfig
    {
        var url = options.ServiceUrlByRegion.TryGetValue(region, out var own) ? own : options.ServiceUrl;
        if (url is null)
        {
            config.RegionEndpoint = RegionEndpoint.GetBySystemName(region);
            config.UseFIPSEndpoint = options.UseFipsEndpoint;
            config.UseDualstackEndpoint = options.UseDualStackEndpoint;
        }
        else
        {
            config.ServiceURL = url.ToString();
            config.AuthenticationRegion = region;
        }

        if (options.Profile is { } profile)
            config.Profile = new Profile(profile);
        // Repeating is the budgets' work: the SDK's retries would multiply ours, and share a bucket of their own.
        config.RetryMode = RequestRetryMode.Standard;
        config.MaxErrorRetry = 0;
        config.ThrottleRetries = false;
        // Apart from MaxErrorRetry, up to ten times after a reset: ten keys of one CreateKey whose answers were lost.
        config.MaxStaleConnectionRetries = 0;
        config.Timeout = TimeSpan.FromMilliseconds(options.CallTimeoutMilliseconds);
        return config;
    }
}
