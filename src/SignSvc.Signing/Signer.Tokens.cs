using SignSvc.Signing.Access;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing;

/// <summary>Tokens of profiles, on the one path.</summary>
public sealed partial class Signer
{
    /// <exception cref="SigningException">The refusal, with the id of its audit record.</exception>
    public async Task<IssuedToken> IssueAsync(Caller caller, TokenOrder order, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        return await AnswerAsync(await DecideAsync(caller, order, count: 1, cancellationToken), started, cancellationToken);
    }

    /// <inheritdoc cref="SignBatchAsync"/>
    public Task<Outcome<IssuedToken>[]> IssueBatchAsync(
        Caller caller, IReadOnlyList<TokenOrder> orders, CancellationToken cancellationToken) =>
        AnswerAllAsync(orders, o => DecideAsync(caller, o, orders.Count, cancellationToken), cancellationToken);

    private async Task<Decided<IssuedToken>> DecideAsync(
        Caller caller, TokenOrder order, int count, CancellationToken cancellationToken)
    {
        var record = decisions.Draft(caller, Actions.TokensIssue, Decisions.Resource("profile", order.Profile));
        if (order.Request.Grant is { } grant)
            record = record with { Grant = grant.Type };
        try
        {
            // Resolve.
            var snapshot = live.Current;
            var profile = snapshot.Profiles.GetValueOrDefault(order.Profile);
            var key = profile is not null && snapshot.Keys.TryGet(profile.KeyId, out var signing) ? signing : null;

            // Authorise.
            var facts = new AccessFacts { Key = key, Token = new TokenWish(order, profile, caller), Count = count };
            var permit = decisions.Authorise(snapshot, decisions.Ask(caller, Actions.TokensIssue, record.Resource, facts));
            if (profile is null || key is null)
                throw new SigningException(SigningFault.NotFound, "There is no such token profile.");

            var version = UsableVersion(key, number: null);
            var algorithm = key.Algorithms[0];
            var claims = tokens.Settle(caller, profile, order.Request, time.GetUtcNow());
            record = record with
            {
                KeyId = key.Id,
                KeyName = key.Name,
                Version = version.Number,
                Kid = version.Kid,
                Algorithm = algorithm,
                Protection = version.Protection,
                TokenId = claims.TokenId,
                Subject = claims.Subject,
                Audience = string.Join(' ', claims.Audiences),
                ExpiresAt = claims.ExpiresAt,
            };

            var input = TokenWriter.WriteSigningInput(profile.Type, algorithm, version.Kid, claims);
            var signature = await SignAsync(permit, key, version, algorithm, algorithm.HashData(input), cancellationToken);
            return new Decided<IssuedToken>(
                Completed(record, signature, permit),
                auditId => new IssuedToken(
                    TokenWriter.Join(input, signature.Value), claims.IssuedAt, claims.ExpiresAt, version.Kid, claims.TokenId, auditId));
        }
        catch (Exception e) when (AsRefusal(e) is { } refusal)
        {
            return new Decided<IssuedToken>(Decisions.Refused(record, refusal), refusal);
        }
    }
}
