using System.Buffers.Text;
using SignSvc.Signing.Access;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing;

/// <summary>Kubernetes' service account tokens: the claims are kube-apiserver's, so that there is no profile to settle them.</summary>
public sealed partial class Signer
{
    /// <summary>The signature is always verified: kube-apiserver does not do it before it hands the token out.</summary>
    /// <exception cref="SigningException">The refusal, with the id of its audit record.</exception>
    public async Task<SignedServiceAccountToken> SignServiceAccountAsync(
        Caller caller, ServiceAccountOrder order, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        return await AnswerAsync(await DecideAsync(caller, order, cancellationToken), started, cancellationToken);
    }

    private async Task<Decided<SignedServiceAccountToken>> DecideAsync(
        Caller caller, ServiceAccountOrder order, CancellationToken cancellationToken)
    {
        var claims = order.Claims;
        var record = decisions.Draft(caller, Actions.TokensSignServiceAccount) with
        {
            Subject = claims.Subject,
            TokenId = claims.TokenId,
            Audience = claims.Audience,
            ExpiresAt = claims.ExpiresAt,
        };
        try
        {
            // Resolve.
            var key = Find(order.Key);
            record = record with { Resource = key is null ? $"key/{order.Key}" : null, KeyId = key?.Id, KeyName = key?.Name };

            // Authorise.
            var permit = decisions.Authorise(
                live.Current, decisions.Ask(caller, Actions.TokensSignServiceAccount, record.Resource, new AccessFacts { Key = key }));
            if (key is null)
                throw new SigningException(SigningFault.NotFound, $"There is no key {order.Key}.");
            if (key.Purpose != KeyPurpose.Tokens || !SignedServiceAccountToken.Takes(key.Algorithms[0]))
                throw new SigningException(SigningFault.KeyNotUsable, $"{key.Name} is no tokens key with RS256, ES256, ES384 or ES512.");
            if (claims.ExpiresAt > time.GetUtcNow() + order.MaxLifetime + KeySchedule.Skew)
                throw new SigningException(SigningFault.InvalidRequest, $"A service account token lives for {order.MaxLifetime.TotalSeconds} seconds at most.");

            var version = UsableVersion(key, number: null);
            var algorithm = key.Algorithms[0];
            record = record with
            {
                Version = version.Number,
                Kid = version.Kid,
                Algorithm = algorithm,
                Protection = version.Protection,
            };

            var header = Base64Url.EncodeToString(TokenWriter.WriteHeader(SignedServiceAccountToken.Type, algorithm, version.Kid));
            var digest = algorithm.HashData(SignedServiceAccountToken.SigningInput(header, claims));
            var signature = await SignAsync(permit, key, version, algorithm, digest, cancellationToken, alwaysVerify: true);
            return new Decided<SignedServiceAccountToken>(
                record with { BackendRequestId = signature.RequestId },
                auditId => new SignedServiceAccountToken(header, Base64Url.EncodeToString(signature.Value), version.Kid, auditId));
        }
        catch (Exception e) when (AsRefusal(e) is { } refusal)
        {
            return new Decided<SignedServiceAccountToken>(Decisions.Refused(record, refusal), refusal);
        }
    }
}
