using System.Collections.Immutable;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Access;
using SignSvc.Http;
using SignSvc.Signing.Tokens;

namespace SignSvc.Tokens;

/// <param name="Key">Id or name of a tokens key.</param>
/// <param name="Audiences">What may be asked for; <c>*</c> at the end of one stands for any rest.</param>
/// <param name="Issuer">Default: the service's public URL.</param>
/// <param name="Type"><c>at+jwt</c> (default) or <c>JWT</c>.</param>
public sealed record ProfileBody(
    string Key, ImmutableArray<string> Audiences, int DefaultLifetimeSeconds = 300, int MaxLifetimeSeconds = 3600,
    string? Issuer = null, string Type = "at+jwt");

public sealed record ProfileAnswer(
    string Name, string KeyId, string? Issuer, ImmutableArray<string> Audiences, int DefaultLifetimeSeconds,
    int MaxLifetimeSeconds, string Type)
{
    public static ProfileAnswer Of(TokenProfile p) =>
        new(p.Name, p.KeyId, p.Issuer, p.Audiences, p.DefaultLifetimeSeconds, p.MaxLifetimeSeconds, p.Type);
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
    }

    private static async Task<Ok<ProfileList>> ListAsync(
        HttpContext http, TokenProfiles profiles, CancellationToken cancellationToken) =>
        TypedResults.Ok(new ProfileList([.. (await profiles.ListAsync(http.Caller(), cancellationToken)).Select(ProfileAnswer.Of)]));

    private static async Task<Ok<ProfileAnswer>> ReadAsync(
        HttpContext http, string profile, TokenProfiles profiles, CancellationToken cancellationToken) =>
        TypedResults.Ok(ProfileAnswer.Of(await profiles.ReadAsync(http.Caller(), profile, cancellationToken)));

    private static async Task<Ok<ProfileAnswer>> PutAsync(
        HttpContext http, string profile, ProfileBody body, TokenProfiles profiles, CancellationToken cancellationToken)
    {
        var draft = new TokenProfile
        {
            Name = profile,
            KeyId = "",
            Issuer = body.Issuer,
            Audiences = body.Audiences,
            DefaultLifetimeSeconds = body.DefaultLifetimeSeconds,
            MaxLifetimeSeconds = body.MaxLifetimeSeconds,
            Type = body.Type,
        };
        return TypedResults.Ok(ProfileAnswer.Of(await profiles.PutAsync(http.Caller(), body.Key, draft, cancellationToken)));
    }
}
