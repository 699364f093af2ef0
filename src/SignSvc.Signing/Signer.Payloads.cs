using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using SignSvc.Signing.Access;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing;

/// <summary>What a profile would sign, and what callers give under a profile for payloads.</summary>
public sealed partial class Signer
{
    /// <summary>The token that <see cref="IssueAsync"/> would sign now, unsigned. It is on record as an explanation.</summary>
    /// <exception cref="SigningException">The refusal that the caller would get, with the id of its audit record.</exception>
    public Task<ExplainedToken> ExplainAsync(Caller caller, TokenOrder order, CancellationToken cancellationToken)
    {
        var draft = decisions.Draft(caller, Actions.TokensExplain, Decisions.Resource("profile", order.Profile)) with { KeyId = KeyOf(order.Profile)?.Id };
        return decisions.ReadAsync(
            caller,
            draft,
            _ =>
            {
                var (profile, key) = FindProfile(order.Profile);
                var version = UsableVersion(key, number: null);
                var claims = tokens.Settle(caller, profile, order.Request, time.GetUtcNow());
                var input = Encoding.ASCII.GetString(TokenWriter.WriteSigningInput(profile.Type, key.Algorithms[0], version.Kid, claims)).Split('.');
                return ValueTask.FromResult(new ExplainedToken(profile, Read(input[0]), Read(input[1])));
            },
            cancellationToken);
    }

    /// <exception cref="SigningException">The refusal, with the id of its audit record.</exception>
    public async Task<SignedPayload> SignPayloadAsync(Caller caller, PayloadOrder order, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        return await AnswerAsync(await DecideAsync(caller, order, cancellationToken), started, cancellationToken);
    }

    private async Task<Decided<SignedPayload>> DecideAsync(Caller caller, PayloadOrder order, CancellationToken cancellationToken)
    {
        var record = decisions.Draft(caller, Actions.TokensSignPayload, Decisions.Resource("profile", order.Profile));
        try
        {
            // Authorise, then resolve: what there is, is nobody's business before.
            var permit = decisions.Authorise(caller, record, new AccessFacts { Key = KeyOf(order.Profile) });
            var (profile, key) = FindProfile(order.Profile);
            if (!profile.Payloads)
                throw new SigningException(SigningFault.InvalidRequest, $"The profile {profile.Name} issues tokens and signs no payloads.");

            if (PayloadClaims.NameIssuer(order.Payload.Span, tokens.IssuersOf(live.Current.Profiles.Values)))
                throw new SigningException(SigningFault.InvalidRequest, "The payload reads as claims of an issuer of this service (iss): it could pass for a token.");

            var version = UsableVersion(key, number: null);
            var algorithm = key.Algorithms[0];
            var header = Base64Url.EncodeToString(TokenWriter.WriteHeader(profile.Type, algorithm, version.Kid));
            var payload = Base64Url.EncodeToString(order.Payload.Span);
            var digest = algorithm.HashData(Encoding.ASCII.GetBytes($"{header}.{payload}"));
            record = record with
            {
                KeyId = key.Id,
                KeyName = key.Name,
                Version = version.Number,
                Kid = version.Kid,
                Algorithm = algorithm,
                Protection = version.Protection,
                Digest = Convert.ToBase64String(digest),
                // So long its public key stays in the key's set after the last signature.
                ExpiresAt = time.GetUtcNow().AddSeconds(profile.MaxLifetimeSeconds),
            };

            var signature = await SignAsync(permit, key, version, algorithm, digest, cancellationToken);
            var jws = $"{header}.{(order.IsDetached ? "" : payload)}.{Base64Url.EncodeToString(signature.Value)}";
            return new Decided<SignedPayload>(
                record with { BackendRequestId = signature.RequestId }, auditId => new SignedPayload(jws, version.Kid, auditId));
        }
        catch (Exception e) when (AsRefusal(e) is { } refusal)
        {
            return new Decided<SignedPayload>(Decisions.Refused(record, refusal), refusal);
        }
    }

    private static JsonElement Read(string part)
    {
        using var json = JsonDocument.Parse(Base64Url.DecodeFromChars(part));
        return json.RootElement.Clone();
    }

    /// <summary>For policies that ask about the key; that there is none is said only after they have been asked.</summary>
    private Key? KeyOf(string profile)
    {
        var snapshot = live.Current;
        return snapshot.Profiles.TryGetValue(profile, out var found) && snapshot.Keys.TryGet(found.KeyId, out var key) ? key : null;
    }

    private (TokenProfile Profile, Key Key) FindProfile(string name)
    {
        var snapshot = live.Current;
        return snapshot.Profiles.TryGetValue(name, out var profile) && snapshot.Keys.TryGet(profile.KeyId, out var key)
            ? (profile, key)
            : throw new SigningException(SigningFault.NotFound, "There is no such token profile.");
    }
}
