using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json.Serialization;
using SignSvc.Signing;
using SignSvc.Signing.Access;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tokens;

namespace SignSvc.OAuth;

/// <summary>RFC 6749 section 5.1.</summary>
/// <param name="IssuedTokenType">RFC 8693 section 2.2.1; null for other grants.</param>
public sealed record GrantedToken(
    [property: JsonPropertyName("access_token")] string AccessToken,
    [property: JsonPropertyName("token_type")] string TokenType,
    [property: JsonPropertyName("expires_in")] long ExpiresIn,
    [property: JsonPropertyName("scope")] string? Scope,
    [property: JsonPropertyName("issued_token_type")] string? IssuedTokenType);

/// <summary><c>/oauth2/token</c>, of the service and of every issuer that it hosts.</summary>
internal sealed class TokenGrants(
    Signer signer, LiveSnapshot live, TokenIssuing tokens, Decisions decisions, DpopProofs proofs, TokenExchange exchange)
{
    public async Task<GrantedToken> GrantAsync(OAuthRequest request, CancellationToken cancellationToken)
    {
        var (http, form, client, issuer) = request;
        var grantType = form.Required("grant_type");
        if (grantType is not (TokenGrant.ClientCredentials or TokenGrant.TokenExchange))
            throw new OAuthException("unsupported_grant_type", SigningFault.InvalidRequest, $"grant_type is {TokenGrant.ClientCredentials} or {TokenGrant.TokenExchange}.");
        var wish = ProfileWish.Parse(form, grantType);
        var snapshot = live.Current;
        var profile = wish.Choose(snapshot, issuer, p => MayUse(snapshot, client, p, wish));

        var thumbprint = await proofs.CheckAsync(http, $"{tokens.UrlOf(issuer)}/oauth2/token", cancellationToken);
        var certificate = http.Connection.ClientCertificate is { } shown ? Base64Url.EncodeToString(SHA256.HashData(shown.RawData)) : null;
        var grant = new TokenGrant(grantType, wish.Scopes.Count == 0 ? null : string.Join(' ', wish.Scopes), Confirm(thumbprint, certificate));
        if (profile.RequireBinding && grant.Confirmation is null)
            throw OAuthException.InvalidProof($"Tokens of the profile {profile.Name} are bound: send a DPoP proof or a client certificate.");

        ExchangedSubject? subject = null;
        if (grantType is TokenGrant.TokenExchange)
        {
            subject = await exchange.ReadSubjectAsync(form, issuer, new ProvenKeys(thumbprint, certificate), cancellationToken);
            grant = grant with
            {
                Actor = TokenExchange.ActorOf(client, subject),
                SubjectClaims = subject.Claims,
                LatestExpiry = subject.ExpiresAt,
            };
        }

        var issued = await signer.IssueAsync(client, new TokenOrder(profile.Name, TokenRequest.Of(grant, subject?.Subject, wish.Audiences)), cancellationToken);
        return new GrantedToken(
            issued.Token, thumbprint is null ? "Bearer" : "DPoP", (long)(issued.ExpiresAt - issued.IssuedAt).TotalSeconds, grant.Scope,
            subject is null ? null : TokenExchange.AccessToken);
    }

    private bool MayUse(Snapshot snapshot, Caller client, TokenProfile profile, ProfileWish wish)
    {
        var order = new TokenOrder(profile.Name, TokenRequest.Of(new TokenGrant(wish.Grant), subject: null, wish.Audiences));
        var facts = new AccessFacts
        {
            Key = snapshot.Keys.TryGet(profile.KeyId, out var key) ? key : null,
            Token = new TokenWish(order, profile, client),
            Count = 1,
        };
        return snapshot.Access.Allows(decisions.Ask(client, Actions.TokensIssue, $"profile/{profile.Name}", facts));
    }

    /// <summary>RFC 9449 section 6.1 before RFC 8705 section 3.1: a proof is meant, a certificate may just be how the client connects.</summary>
    private static (string Member, string Value)? Confirm(string? thumbprint, string? certificate) =>
        thumbprint is not null ? (TokenGrant.OfKey, thumbprint)
        : certificate is not null ? (TokenGrant.OfCertificate, certificate)
        : null;
}

/// <summary>A form of a client that was recognised.</summary>
/// <param name="Issuer">As profiles name it; null: the service's own.</param>
internal sealed record OAuthRequest(HttpContext Http, OAuthForm Form, Caller Client, string? Issuer);

/// <summary>Routes of OAuth 2, and the frame around each: form, client, answer, refusal.</summary>
public static class OAuthEndpoints
{
    public static void AddOAuth(this IServiceCollection services)
    {
        services.AddSingleton<UsedOnce>();
        services.AddHostedService<UsedOnceService>();
        services.AddSingleton<OwnTokens>();
        services.AddSingleton<ClientAssertions>();
        services.AddSingleton<ClientAuthentication>();
        services.AddSingleton<DpopProofs>();
        services.AddSingleton<TokenExchange>();
        services.AddSingleton<TokenGrants>();
        services.AddSingleton<TokenStatus>();
        services.AddSingleton<ClientKeys>();
    }

    private static object[] Refusals =>
        [.. ((int[])[400, 401, 413, 429, 500, 503]).Select(status => new ProducesResponseTypeMetadata(status, typeof(OAuthError), ["application/json"]))];

    public static void MapOAuth(this IEndpointRouteBuilder routes)
    {
        // The client is authenticated inside, by OAuth's own methods; nothing is done before.
        foreach (var prefix in (ReadOnlySpan<string>)["", "/issuers/{issuer}"])
        {
            var of = prefix.Length == 0 ? "" : "OfIssuer";
            var group = routes.MapGroup($"{prefix}/oauth2").WithTags("OAuth 2").AllowAnonymous().WithMetadata(Refusals);
            Map<TokenGrants>(group, "/token", Actions.TokensIssue, async (grants, request, cancellationToken) =>
                TypedResults.Ok(await grants.GrantAsync(request, cancellationToken))).Produces<GrantedToken>().WithName("GrantToken" + of);
            Map<TokenStatus>(group, "/introspect", Actions.TokensIntrospect, async (status, request, cancellationToken) =>
                TypedResults.Ok(await status.IntrospectAsync(request, cancellationToken))).WithName("IntrospectToken" + of);
            Map<TokenStatus>(group, "/revoke", Actions.TokensRevoke, async (status, request, cancellationToken) =>
            {
                await status.RevokeAsync(request, cancellationToken);
                return TypedResults.Ok();
            }).WithName("RevokeToken" + of);
        }
    }

    /// <summary>As a delegate of a method, not a <see cref="RequestDelegate"/>: the API's description shows only those.</summary>
    private static RouteHandlerBuilder Map<TService>(
        RouteGroupBuilder group, string path, string action, Func<TService, OAuthRequest, CancellationToken, Task<IResult>> answer)
        where TService : class =>
        group.MapPost(path, (Delegate)((HttpContext http) => AnswerAsync(http, action, answer)));

    private static async Task AnswerAsync<TService>(
        HttpContext http, string action, Func<TService, OAuthRequest, CancellationToken, Task<IResult>> answer)
        where TService : class
    {
        var services = http.RequestServices;
        var issuer = http.Request.RouteValues["issuer"] as string;
        if (issuer is not null && !services.GetRequiredService<LiveSnapshot>().Current.KeySets.TryGetIssuer(issuer, out _))
            throw new SigningException(SigningFault.NotFound, "There is no such issuer.");
        http.Response.Headers.CacheControl = "no-store";
        http.Response.Headers.Pragma = "no-cache";
        Caller? client = null;
        OAuthForm? form = null;
        try
        {
            form = await OAuthForm.ReadAsync(http, http.RequestAborted);
            var url = services.GetRequiredService<TokenIssuing>().UrlOf(issuer);
            client = (await services.GetRequiredService<ClientAuthentication>().AuthenticateAsync(http, form, url, http.RequestAborted)).Caller;
            var result = await answer(services.GetRequiredService<TService>(), new OAuthRequest(http, form, client, issuer), http.RequestAborted);
            await result.ExecuteAsync(http);
        }
        catch (OAuthException e)
        {
            await RecordAsync(services.GetRequiredService<Decisions>(), client, action, form, e.Fault);
            await OAuthFaults.WriteAsync(http, e);
        }
        catch (SigningException e)
        {
            await OAuthFaults.WriteAsync(http, e);
        }
    }

    /// <summary>A refusal of a known client is on record before it hears of it. Strangers were dealt with before.</summary>
    private static async Task RecordAsync(Decisions decisions, Caller? client, string action, OAuthForm? form, SigningException refusal)
    {
        if (client is not null && refusal.AuditId is null)
            await decisions.RecordRefusalAsync(decisions.Draft(client, action) with { Grant = GrantOf(form) }, refusal);
    }

    /// <summary>What a client writes there is its own; the audit keeps what it can mean.</summary>
    private static string? GrantOf(OAuthForm? form) =>
        form?["grant_type"] is { } grant and (TokenGrant.ClientCredentials or TokenGrant.TokenExchange) ? grant : null;
}
