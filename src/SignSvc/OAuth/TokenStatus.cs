using System.Text.Json;
using SignSvc.Signing;
using SignSvc.Signing.Access;
using SignSvc.Signing.Tokens;

namespace SignSvc.OAuth;

/// <summary>
/// Introspection (RFC 7662) and revocation (RFC 7009) of single tokens, for profiles that ask for it. What is revoked is
/// remembered until it would have expired. Verifiers who do not ask here go on accepting the token until then.
/// </summary>
internal sealed class TokenStatus(OwnTokens tokens, UsedOnce used, Decisions decisions)
{
    private static readonly TimeSpan Skew = TimeSpan.FromMinutes(5);

    private static readonly JsonElement Inactive = Parse("""{"active":false}""");

    public Task<JsonElement> IntrospectAsync(OAuthRequest request, CancellationToken cancellationToken)
    {
        var own = tokens.Recognise(request.Form.Required("token"), request.Issuer);
        var draft = decisions.Draft(request.Client, Actions.TokensIntrospect, own is null ? null : $"profile/{own.Profile.Name}") with
        {
            TokenId = own?.TokenId,
        };
        return decisions.ReadAsync(
            request.Client,
            draft,
            async _ => own is { Profile.Introspection: true } && !await used.WasUsedAsync(OwnTokens.RevokedScope, [own.TokenId], cancellationToken)
                ? Describe(own)
                : Inactive,
            cancellationToken);
    }

    /// <summary>A token that is none of ours, or has expired, is no fault (RFC 7009 section 2.2).</summary>
    /// <exception cref="OAuthException"><c>unsupported_token_type</c>: its profile does not ask for it. <c>unauthorized_client</c>: another client's token.</exception>
    public async Task RevokeAsync(OAuthRequest request, CancellationToken cancellationToken)
    {
        var own = tokens.Recognise(request.Form.Required("token"), request.Issuer);
        var draft = decisions.Draft(request.Client, Actions.TokensRevoke, own is null ? null : $"profile/{own.Profile.Name}") with
        {
            TokenId = own?.TokenId,
            ExpiresAt = own?.ExpiresAt,
        };
        if (own is { Profile.Introspection: false })
            throw new OAuthException("unsupported_token_type", SigningFault.Unsupported, "Tokens of this profile are not revoked one by one.");
        var isItsOwn = own is null || string.Equals(own.Jws.Text("client_id"), request.Client.Name, StringComparison.Ordinal);
        if (!isItsOwn && !decisions.Allows(request.Client, Actions.ProfilesPut, $"profile/{own!.Profile.Name}"))
            throw new OAuthException("unauthorized_client", SigningFault.Forbidden, "The token was issued to another client.");
        await decisions.ReadAsync(
            request.Client,
            draft,
            async _ => own is not null && await used.TryUseAsync(OwnTokens.RevokedScope, [own.TokenId], own.ExpiresAt + Skew, cancellationToken),
            cancellationToken);
    }

    private static JsonElement Describe(OwnToken own)
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>(512);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteBoolean("active", true);
            var isBound = own.Jws.Claims.TryGetProperty("cnf", out var cnf) && cnf.ValueKind == JsonValueKind.Object && cnf.TryGetProperty("jkt", out _);
            writer.WriteString("token_type", isBound ? "DPoP" : "Bearer");
            foreach (var claim in own.Jws.Claims.EnumerateObject().Where(c => c.Name is not ("active" or "token_type")))
                claim.WriteTo(writer);
            writer.WriteEndObject();
        }

        using var json = JsonDocument.Parse(buffer.WrittenMemory);
        return json.RootElement.Clone();
    }

    private static JsonElement Parse(string text)
    {
        using var json = JsonDocument.Parse(text);
        return json.RootElement.Clone();
    }
}
