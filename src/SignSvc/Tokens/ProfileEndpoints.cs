using System.Collections.Immutable;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Access;
using SignSvc.Embedded;
using SignSvc.Http;
using SignSvc.Signing;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tokens;

namespace SignSvc.Tokens;

/// <param name="Key">Id or name of a tokens key.</param>
/// <param name="Audiences">What may be asked for; <c>*</c> at the end of one stands for any rest.</param>
/// <param name="Issuer">A name, for an issuer under <c>/issuers</c>; an absolute URL; default: the service's public URL.</param>
/// <param name="Type"><c>at+jwt</c> (default), <c>JWT</c>, or another that ends with <c>+jwt</c>; for payloads <c>JOSE</c> by default.</param>
/// <param name="Subject">A template of the claim <c>sub</c>.</param>
/// <param name="Claims">Templates of claims: any JSON with variables such as <c>{caller.repository}</c> in its strings.</param>
/// <param name="CallerClaims">The claims that a caller may set; default: any that is not reserved.</param>
/// <param name="RequiredClaims">Claims without which nothing is signed.</param>
/// <param name="Lint">What claims have to be when all is settled.</param>
/// <param name="Grants">How its tokens are had: grant types of the token endpoint, and <c>direct</c> for <c>/v1/tokens</c> and gRPC; default: <c>client_credentials</c> and, without <c>requireBinding</c>, <c>direct</c>.</param>
/// <param name="Scopes">Scope tokens that may be asked for, directly by the claim <c>scope</c>.</param>
/// <param name="Introspection">Tokens can be introspected and revoked one by one.</param>
/// <param name="RequireBinding">Tokens are bound to a key or a certificate: the token endpoint alone gives them.</param>
/// <param name="Payloads">It signs what callers give, and issues no tokens.</param>
public sealed record ProfileBody(
    string Key, ImmutableArray<string> Audiences, int DefaultLifetimeSeconds = 300, int MaxLifetimeSeconds = 3600,
    string? Issuer = null, string? Type = null, string? Subject = null, Dictionary<string, JsonElement>? Claims = null,
    Dictionary<string, ClaimRule>? CallerClaims = null, ImmutableArray<string>? RequiredClaims = null,
    Dictionary<string, ClaimRule>? Lint = null, ImmutableArray<string>? Grants = null, ImmutableArray<string>? Scopes = null,
    bool Introspection = false, bool RequireBinding = false, bool Payloads = false)
{
    public TokenProfile For(string name) => new()
    {
        Name = name,
        KeyId = "",
        Issuer = Issuer,
        Audiences = Audiences,
        DefaultLifetimeSeconds = DefaultLifetimeSeconds,
        MaxLifetimeSeconds = MaxLifetimeSeconds,
        Type = Type ?? (Payloads ? "JOSE" : TokenProfile.AccessTokenType),
        Subject = Subject,
        Claims = Sorted(Claims) ?? ImmutableSortedDictionary<string, JsonElement>.Empty,
        CallerClaims = Sorted(CallerClaims),
        RequiredClaims = RequiredClaims ?? [],
        Lint = Sorted(Lint) ?? ImmutableSortedDictionary<string, ClaimRule>.Empty,
        Grants = Grants?.RemoveAll(g => g is TokenGrant.Direct) ?? [TokenGrant.ClientCredentials],
        Direct = Grants?.Contains(TokenGrant.Direct, StringComparer.Ordinal) ?? (!RequireBinding && !Payloads),
        Scopes = Scopes ?? [],
        Introspection = Introspection,
        RequireBinding = RequireBinding,
        Payloads = Payloads,
    };

    private static ImmutableSortedDictionary<string, T>? Sorted<T>(Dictionary<string, T>? members) =>
        members?.ToImmutableSortedDictionary(StringComparer.Ordinal);
}

/// <summary>As the body that makes it; what is empty is left out.</summary>
/// <param name="KeySince">Since when the issuer's key set shows the key; null: since before this was kept.</param>
public sealed record ProfileAnswer(
    string Name, string KeyId, string? Issuer, ImmutableArray<string> Audiences, int DefaultLifetimeSeconds,
    int MaxLifetimeSeconds, string Type, string? Subject, IReadOnlyDictionary<string, JsonElement>? Claims,
    IReadOnlyDictionary<string, ClaimRule>? CallerClaims, ImmutableArray<string>? RequiredClaims,
    IReadOnlyDictionary<string, ClaimRule>? Lint, ImmutableArray<string> Grants, ImmutableArray<string>? Scopes,
    bool Introspection, bool RequireBinding, bool Payloads, DateTimeOffset? KeySince)
{
    public static ProfileAnswer Of(TokenProfile p) => new(
        p.Name, p.KeyId, p.Issuer, p.Audiences, p.DefaultLifetimeSeconds, p.MaxLifetimeSeconds, p.Type, p.Subject,
        p.Claims.IsEmpty ? null : p.Claims, p.CallerClaims, p.RequiredClaims.IsEmpty ? null : p.RequiredClaims,
        p.Lint.IsEmpty ? null : p.Lint, p.IsDirect ? p.Grants.Add(TokenGrant.Direct) : p.Grants, p.Scopes.IsEmpty ? null : p.Scopes, p.Introspection, p.RequireBinding, p.Payloads, p.KeySince);
}

public sealed record ProfileList(ImmutableArray<ProfileAnswer> Profiles);

/// <summary><c>/v1/profiles</c>: what tokens callers may get.</summary>
public static class ProfileEndpoints
{
    public static void MapProfiles(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/profiles").WithTags("Profiles").WithProblems();
        group.MapGet("/", ListAsync).WithName("ListProfiles");
        group.MapGet("/{profile}", ReadAsync).WithName("ReadProfile");
        group.MapPut("/{profile}", PutAsync).WithName("PutProfile");
        group.MapDelete("/{profile}", DeleteAsync).WithName("DeleteProfile");
    }

    private static async Task<Ok<ProfileList>> ListAsync(
        HttpContext http, TokenProfiles profiles, CancellationToken cancellationToken) =>
        TypedResults.Ok(new ProfileList([.. (await profiles.ListAsync(http.Caller(), cancellationToken)).Select(ProfileAnswer.Of)]));

    private static async Task<Ok<ProfileAnswer>> ReadAsync(
        HttpContext http, string profile, TokenProfiles profiles, CancellationToken cancellationToken) =>
        TypedResults.Ok(ProfileAnswer.Of(await profiles.ReadAsync(http.Caller(), profile, cancellationToken)));

    /// <param name="force">Also where verifiers of the issuer may not know the key yet.</param>
    private static async Task<Ok<ProfileAnswer>> PutAsync(
        HttpContext http, string profile, ProfileBody body, TokenProfiles profiles, LiveSnapshot live, Node node,
        CancellationToken cancellationToken, bool force = false)
    {
        if (body.Payloads && IsOfKubernetes(body.Key, node.Settings.Kubernetes, live.Current))
            throw new SigningException(SigningFault.InvalidRequest, "This key signs service account tokens of Kubernetes: use a key of its own for payloads.");
        return TypedResults.Ok(ProfileAnswer.Of(await profiles.PutAsync(http.Caller(), body.Key, body.For(profile), cancellationToken, force)));
    }

    private static async Task<NoContent> DeleteAsync(
        HttpContext http, string profile, TokenProfiles profiles, CancellationToken cancellationToken)
    {
        await profiles.DeleteAsync(http.Caller(), profile, cancellationToken);
        return TypedResults.NoContent();
    }

    /// <summary>Its tokens have no profile; a payload under their key could pass for one before the cluster.</summary>
    private static bool IsOfKubernetes(string key, Settings.KubernetesSettings kubernetes, Snapshot snapshot) =>
        kubernetes.Socket.Length > 0 && snapshot.Keys.TryGet(key, out var named)
        && kubernetes.ExcludedKeyNames.Append(kubernetes.Key).Any(
            k => snapshot.Keys.TryGet(k, out var own) && string.Equals(own.Id, named.Id, StringComparison.Ordinal));
}
