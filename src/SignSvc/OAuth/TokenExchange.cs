using System.Text.Json;
using SignSvc.Access.Issuers;
using SignSvc.Signing.Access;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tokens;

namespace SignSvc.OAuth;

/// <summary>What stands behind a subject token, whoever issued it.</summary>
/// <param name="Subject">The claim <c>sub</c> of the new token, unless its profile has another.</param>
/// <param name="Issuer">The claim <c>iss</c> of an outside token; null: it is ours.</param>
internal sealed record ExchangedSubject(string Subject, JsonElement Claims, DateTimeOffset ExpiresAt, string? Issuer);

/// <summary>What a client has proved to hold, by thumbprints.</summary>
/// <param name="Key">Of its DPoP proof.</param>
/// <param name="Certificate">Of its connection.</param>
internal readonly record struct ProvenKeys(string? Key, string? Certificate);

/// <summary>Token exchange (RFC 8693): a token of this issuer, or of an OIDC issuer that is trusted here, becomes one for another audience, in whose <c>act</c> stands who asked for it.</summary>
internal sealed class TokenExchange(OwnTokens tokens, TrustedIssuers issuers, UsedOnce used, LiveSnapshot live)
{
    public const string AccessToken = "urn:ietf:params:oauth:token-type:access_token";

    private const string Jwt = "urn:ietf:params:oauth:token-type:jwt";
    private const string IdToken = "urn:ietf:params:oauth:token-type:id_token";

    /// <summary>Actors behind actors; a longer chain is a loop.</summary>
    private const int MaxActors = 8;

    /// <param name="issuer">As profiles name it.</param>
    /// <exception cref="OAuthException"><c>invalid_request</c>: the subject token is not valid here (RFC 8693 section 2.2.2).</exception>
    public async Task<ExchangedSubject> ReadSubjectAsync(
        OAuthForm form, string? issuer, ProvenKeys proven, CancellationToken cancellationToken)
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
        RequirePossession(subject.Claims, proven);
        return subject;
    }

    private async Task<ExchangedSubject?> OfOwnAsync(OwnToken own, CancellationToken cancellationToken) =>
        own.Jws.Text("sub") is { } subject && !WasClientRevoked(own) && !await used.WasUsedAsync(OwnTokens.RevokedScope, [own.TokenId], cancellationToken)
            ? new ExchangedSubject(subject, own.Jws.Claims, own.ExpiresAt, Issuer: null)
            : null;

    /// <summary>Whoever was shut out does not live on in other audiences. Names of credentials are used once.</summary>
    private bool WasClientRevoked(OwnToken own) =>
        own.Jws.Text("client_id") is { } client && live.Current.Credential(client) is { RevokedAt: not null } credential
        && string.Equals(credential.Name, client, StringComparison.Ordinal);

    /// <summary>Its <c>sub</c> means something at its issuer alone: here it is the whole principal, so that nobody takes the name of a client.</summary>
    private async Task<ExchangedSubject?> OfTrustedIssuerAsync(string text, CancellationToken cancellationToken)
    {
        if ((await issuers.VerifyAsync(text, cancellationToken)).Token is not { } token)
            return null;
        using var claims = JsonDocument.Parse(token.Payload);
        var read = claims.RootElement.Clone();
        return new ExchangedSubject(token.Principal, read, token.ExpiresAt, read.GetProperty("iss").GetString());
    }

    /// <summary>RFC 8693 section 4.1: the client, and within it whoever acted before.</summary>
    /// <exception cref="OAuthException"><c>invalid_request</c>: the subject token lets somebody else act (section 4.4), names no actor where it should, or the chain is too long.</exception>
    public static JsonElement ActorOf(Caller client, ExchangedSubject subject)
    {
        if (subject.Claims.TryGetProperty("may_act", out var may) && !string.Equals(TextOf(may, "sub"), client.Name, StringComparison.Ordinal))
            throw OAuthException.InvalidRequest("The subject token lets another client act for its subject.");

        var buffer = new System.Buffers.ArrayBufferWriter<byte>(128);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("sub", client.Name);
            if (subject.Claims.TryGetProperty("act", out var before))
                WriteActor(writer, before, subject.Issuer, MaxActors - 1);
            writer.WriteEndObject();
        }

        using var json = JsonDocument.Parse(buffer.WrittenMemory);
        return json.RootElement.Clone();
    }

    /// <summary>
    /// A name without an issuer is one of ours. Every actor of an outside token gets the issuer that vouches for it, whatever
    /// is written there, so that it takes the name of nobody here; nothing else is taken over.
    /// </summary>
    private static void WriteActor(Utf8JsonWriter writer, JsonElement actor, string? issuer, int left)
    {
        if (left == 0)
            throw OAuthException.InvalidRequest($"More than {MaxActors} clients act for the subject.");
        if (TextOf(actor, "sub") is not { Length: > 0 and <= TokenRequest.MaxTextLength } name)
            throw OAuthException.InvalidRequest("act of the subject token, and each act within it, is an object with a text sub.");
        writer.WriteStartObject("act");
        writer.WriteString("sub", name);
        if ((issuer ?? TextOf(actor, "iss")) is { } vouching)
            writer.WriteString("iss", vouching);
        if (actor.TryGetProperty("act", out var before))
            WriteActor(writer, before, issuer, left - 1);
        writer.WriteEndObject();
    }

    /// <summary>A token that is bound to a key or a certificate is of use to its holder alone, here too.</summary>
    private static void RequirePossession(JsonElement claims, ProvenKeys proven)
    {
        if (!claims.TryGetProperty("cnf", out var cnf))
            return;
        var (key, certificate) = (TextOf(cnf, TokenGrant.OfKey), TextOf(cnf, TokenGrant.OfCertificate));
        if ((key is null && certificate is null)
            || (key is not null && !string.Equals(key, proven.Key, StringComparison.Ordinal))
            || (certificate is not null && !string.Equals(certificate, proven.Certificate, StringComparison.Ordinal)))
        {
            throw OAuthException.InvalidRequest("The subject token is bound to a key: prove that you hold it by a DPoP proof, or the client certificate.");
        }
    }

    private static string? TextOf(JsonElement json, string member) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
