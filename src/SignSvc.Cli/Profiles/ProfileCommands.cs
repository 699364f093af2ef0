using System.CommandLine;
using System.Text.Json;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;
using SignSvc.Cli.Tokens;

namespace SignSvc.Cli.Profiles;

internal sealed record ProfileAnswer(
    string Name, string KeyId, string? Issuer, string[] Audiences, int DefaultLifetimeSeconds, int MaxLifetimeSeconds, string Type,
    string? Subject = null, Dictionary<string, JsonElement>? Claims = null, string[]? RequiredClaims = null, string[]? Grants = null,
    string[]? Scopes = null, bool Introspection = false, bool RequireBinding = false, bool Payloads = false);

internal sealed record ProfileBody(
    string Key, string[] Audiences, int? DefaultLifetimeSeconds, int? MaxLifetimeSeconds, string? Issuer, string? Type,
    string? Subject, Dictionary<string, JsonElement>? Claims, string[]? RequiredClaims, string[]? Grants, string[]? Scopes,
    bool? Introspection, bool? RequireBinding, bool? Payloads);

internal sealed record ProfileList(ProfileAnswer[] Profiles);

/// <summary><c>signsvc profiles</c>: what tokens callers may get.</summary>
internal static class ProfileCommands
{
    public static Command Create() => new("profiles", "Token profiles: what tokens callers may get.") { CreateList(), CreateShow(), CreatePut(), CreateDelete() };

    private static Command CreateList()
    {
        var command = new Command("list", "Lists token profiles.");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.GetAsync("/v1/profiles", cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.ProfileList, WriteList, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateShow()
    {
        var profile = Parameters.Required("profile", "Its name.");
        var command = new Command("show", "Shows one token profile.") { profile };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.GetAsync(ApiPath.Profile(parsed.GetRequiredValue(profile)), cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.ProfileAnswer, WriteOne, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private const string TokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange";

    private static Command CreatePut()
    {
        var profile = Parameters.Required("profile", "Its name.");
        var key = new Option<string>("--key") { HelpName = "key", Required = true, Description = "Name or id of the tokens key that signs." };
        var audiences = new Option<string[]>("--audience") { HelpName = "audience", Required = true, Description = "What may be asked for; * at the end stands for any rest. May be given several times." };
        var usual = Parameters.Text("--default-lifetime", "time", "How long a token lives: 300, 15m. Default: 300 s.");
        var longest = Parameters.Text("--max-lifetime", "time", "How long a token may live. Default: 3600 s.");
        var issuer = Parameters.Text("--issuer", "name|URL", "A name: an issuer under /issuers. Default: the service's public URL.");
        var type = Parameters.Text("--type", "type", "at+jwt, JWT, or another that ends with +jwt. Default: at+jwt.");
        var subject = Parameters.Text("--subject", "template", "The claim sub: repo:{caller.repository}. Default: what is asked for, else the caller.");
        var claims = Parameters.Many("--claim", "name=template|name:=json", "A claim that every token has: repository={caller.repository}.");
        var required = Parameters.Many("--require-claim", "name", "A claim without which nothing is signed.");
        var scopes = Parameters.Many("--scope", "scope", "A scope that may be asked for.");
        var grants = Parameters.Many(
            "--grant", "grant", $"How its tokens are had: client_credentials, {TokenExchange}, direct (POST /v1/tokens). Default: client_credentials and, without --require-binding, direct.");
        var exchange = new Option<bool>("--exchange") { Description = "The token endpoint gives it for other tokens (token exchange), too." };
        var introspection = new Option<bool>("--introspection") { Description = "Tokens can be introspected and revoked one by one." };
        var binding = new Option<bool>("--require-binding") { Description = "Its tokens are bound to a key or certificate: the token endpoint alone gives them." };
        var payloads = new Option<bool>("--payloads") { Description = "It signs what callers give, and issues no tokens. Its key signs nothing else." };

        var force = new Option<bool>("--force") { Description = "Also where verifiers of the issuer may not know the key yet." };

        var command = new Command("put", "Makes a token profile, or replaces it whole. Rules for claims are put over HTTP.")
        {
            profile, key, audiences, usual, longest, issuer, type, subject, claims, required, scopes, grants, exchange, introspection, binding, payloads, force,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var body = new ProfileBody(
                parsed.GetRequiredValue(key), parsed.GetRequiredValue(audiences), Durations.Seconds("--default-lifetime", parsed.GetValue(usual)),
                Durations.Seconds("--max-lifetime", parsed.GetValue(longest)), parsed.GetValue(issuer), parsed.GetValue(type),
                parsed.GetValue(subject), TokenCommands.ParseClaims(parsed.GetValue(claims)), Given(parsed.GetValue(required)),
                GrantsOf(Given(parsed.GetValue(grants)), parsed.GetValue(exchange), parsed.GetValue(binding)),
                Given(parsed.GetValue(scopes)), IfSo(parsed.GetValue(introspection)), IfSo(parsed.GetValue(binding)), IfSo(parsed.GetValue(payloads)));
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.PutAsync(
                ApiPath.WithQuery(ApiPath.Profile(parsed.GetRequiredValue(profile)), ("force", parsed.GetValue(force) ? "true" : null)), body, CliJson.Default.ProfileBody, cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.ProfileAnswer, WriteOne, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateDelete()
    {
        var profile = Parameters.Required("profile", "Its name.");
        var yes = Confirmation.YesOption();
        var command = new Command("delete", "Deletes a token profile; refused while tokens of it are alive.") { profile, yes };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var name = parsed.GetRequiredValue(profile);
            Confirmation.Require(parsed.GetValue(yes), $"The token profile {name} will be deleted: nobody gets tokens of it any more.", name);
            using var service = ServiceClient.Connect(parsed);
            await service.DeleteAsync(ApiPath.Profile(name), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    /// <returns>Null: the service's default.</returns>
    private static string[]? GrantsOf(string[]? given, bool exchange, bool binding)
    {
        if (!exchange)
            return given;
        string[] usual = binding ? ["client_credentials"] : ["client_credentials", "direct"];
        return [.. (given ?? usual).Append(TokenExchange).Distinct(StringComparer.Ordinal)];
    }

    private static string[]? Given(string[]? texts) => texts is { Length: > 0 } ? texts : null;

    private static bool? IfSo(bool value) => value ? true : null;

    private static void WriteList(ProfileList list) => Tables.Write(
        ["NAME", "TYPE", "LIFETIME", "AUDIENCES", "ISSUER"],
        list.Profiles.Select(p => (Cell[])
        [
            Cell.Of(p.Name), Cell.Of(p.Type), LifetimeOf(p), Cell.Of(string.Join(' ', p.Audiences)), IssuerOf(p),
        ]));

    private static void WriteOne(ProfileAnswer p) => Tables.WriteFacts(
        ("name", Cell.Of(p.Name)),
        ("type", Cell.Of(p.Type)),
        ("key", Cell.Of(p.KeyId)),
        ("issuer", IssuerOf(p)),
        ("audiences", Cell.Of(string.Join(' ', p.Audiences))),
        ("lifetime", LifetimeOf(p)),
        ("subject", Cell.Of(p.Subject ?? "as asked for, else the caller")),
        ("claims", Cell.Of(p.Claims is null ? "" : string.Join(' ', p.Claims.Select(c => $"{c.Key}={c.Value.GetRawText()}")))),
        ("scopes", Cell.Of(string.Join(' ', p.Scopes ?? []))),
        ("grants", Cell.Of(string.Join(' ', p.Grants ?? []))));

    private static Cell LifetimeOf(ProfileAnswer p) => Cell.Of($"{p.DefaultLifetimeSeconds} s, at most {p.MaxLifetimeSeconds} s");

    private static Cell IssuerOf(ProfileAnswer p) => Cell.Of(p.Issuer ?? "the service");
}
