using System.Text.Json;
using SignSvc.Access.Issuers;
using SignSvc.Signing.Access;
using SignSvc.Signing.Tokens;

namespace SignSvc.OAuth;

/// <summary>What stands behind a subject token, whoever issued it.</summary>
/// <param name="Subject">The claim <c>sub</c> of the new token, unless its profile has another.</param>
internal sealed record ExchangedSubject(string Subject, JsonElement Claims, DateTimeOffset ExpiresAt);

/// <summary>Token exchange (RFC 8693): a token of this issuer, or of an OIDC issuer that is trusted here, becomes one for another audience, in whose <c>act</c> stands who asked for it.</summary>
internal sealed class TokenExchange(OwnTokens tokens, TrustedIssuers issuers, UsedOnce used)
{
    public const string AccessToken = "urn:ietf:params:oauth:token-type:access_token";

    private const string Jwt = "urn:ietf:params:oauth:token-type:jwt";
    private const string IdToken = "urn:ietf:params:oauth:token-type:id_token";

    /// <summary>Actors behind actors; a longer chain is a loop.</summary>
    private const int MaxActors = 8;

    /// <param name="issuer">As profiles name it.</param>
    /// <param name="keyThumbprint">Of the DPoP proof of this request; null: none.</param>
    /// <exception cref="OAuthException"><c>invalid_request</c>: the subject token is not valid here (RFC 8693 section 2.2.2).</exception>
    public async Task<ExchangedSubject> ReadSubjectAsync(
        OAuthForm form, string? issuer, string? keyThumbprint, CancellationToken cancellationToken)
    {
        if (form.Required("subject_token_type") is not (AccessToken or Jwt or IdToken))
            throw OAuthException.InvalidRequest("subject_token_type is that of an access token, an id token or a JWT.");
        if (form["requested_token_type"] is not (null or AccessToken or Jwt))
            throw OAuthException.InvalidRequest("requested_token_type is that of an access token.");
        if (form["actor_token"] is not null || form["actor_token_type"] is not null)
            throw OAuthException.InvalidRequest("actor_token is not taken: the client itself is the actor.");

        var text = form.Required("subject_token");
        var subject = tokens.Recognise(text, issuer) is { } own
            ? await OfOwnAsync(own, cancellationToken)
            : await OfTrustedIssuerAsync(text, cancellationToken);
        if (subject is null)
            throw OAuthException.InvalidRequest("The subject token is not valid here.");
        RequirePossession(subject.Claims, keyThumbprint);
        return subject;
    }

    private async Task<ExchangedSubject?> OfOwnAsync(OwnToken own, CancellationToken cancellationToken) =>
        own.Jws.Text("sub") is { } subject && !await used.WasUsedAsync(OwnTokens.RevokedScope, [own.TokenId], cancellationToken)
            ? new ExchangedSubject(subject, own.Jws.Claims, own.ExpiresAt)
            : null;

    /// <summary>Its <c>sub</c> means something at its issuer alone: here it is the whole principal, so that nobody takes the name of a client.</summary>
    private async Task<ExchangedSubject?> OfTrustedIssuerAsync(string text, CancellationToken cancellationToken)
    {
        if ((await issuers.VerifyAsync(text, cancellationToken)).Token is not { } token)
            return null;
        using var claims = JsonDocument.Parse(token.Payload);
        return new ExchangedSubject(token.Principal, claims.RootElement.Clone(), token.ExpiresAt);
    }

    /// <summary>RFC 8693 section 4.1: the client, and within it whoever acted before.</summary>
    /// <exception cref="OAuthException"><c>invalid_request</c>: the subject token lets somebody else act (section 4.4), or the chain is too long.</exception>
    public static JsonElement ActorOf(Caller client, JsonElement subjectClaims)
    {
        if (subjectClaims.TryGetProperty("may_act", out var may)
            && !(may.ValueKind == JsonValueKind.Object && may.TryGetProperty("sub", out var who) && who.ValueKind == JsonValueKind.String
                && string.Equals(who.GetString(), client.Name, StringComparison.Ordinal)))
        {
            throw OAuthException.InvalidRequest("The subject token lets another client act for its subject.");
        }

        var hasActor = subjectClaims.TryGetProperty("act", out var before) && before.ValueKind == JsonValueKind.Object;
        if (hasActor && Depth(before) >= MaxActors)
            throw OAuthException.InvalidRequest($"More than {MaxActors} clients act for the subject.");
        var buffer = new System.Buffers.ArrayBufferWriter<byte>(128);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("sub", client.Name);
            if (hasActor)
            {
                writer.WritePropertyName("act");
                before.WriteTo(writer);
            }

            writer.WriteEndObject();
        }

        using var json = JsonDocument.Parse(buffer.WrittenMemory);
        return json.RootElement.Clone();
    }

    /// <summary>A token that is bound to a key is of use to its holder alone, here too.</summary>
    private static void RequirePossession(JsonElement claims, string? keyThumbprint)
    {
        if (!claims.TryGetProperty("cnf", out var cnf))
            return;
        if (cnf.ValueKind != JsonValueKind.Object || !cnf.TryGetProperty("jkt", out var jkt) || keyThumbprint is null
            || !string.Equals(jkt.ToString(), keyThumbprint, StringComparison.Ordinal))
        {
            throw OAuthException.InvalidRequest("The subject token is bound to a key: prove that you hold it by a DPoP proof.");
        }
    }

    private static int Depth(JsonElement actor) =>
        1 + (actor.TryGetProperty("act", out var inner) && inner.ValueKind == JsonValueKind.Object ? Depth(inner) : 0);
}
