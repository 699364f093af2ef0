using System.CommandLine;
using System.IdentityModel.Tokens.Jwt;
using System.Text.Json;
using Microsoft.IdentityModel.Tokens;
using SignSvc.Cli.Http;
using SignSvc.Cli.Login;
using SignSvc.Cli.Output;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Cli.Tokens;

/// <summary>
/// <c>signsvc token verify</c>: as any verifier would, with the issuer's published key set and no credential. The token
/// is read from a file or standard input, never from an argument, which other users of the machine could see.
/// </summary>
internal static class TokenVerifyCommand
{
    private const int MaxTokenBytes = 256 * 1024;
    private static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(30);

    private static readonly Argument<string> File = new("file") { Description = "The file with the token, or - for standard input.", DefaultValueFactory = _ => InputFile.StandardInput };
    private static readonly Option<string?> Issuer = Parameters.Text("--issuer", "URL", "Who must have issued it. Default: the service.");
    private static readonly Option<string?> Audience = Parameters.Text("--audience", "text", "Whom it must be for. Without it any audience is taken.");

    public static Command Create()
    {
        var command = new Command("verify", "Verifies a token through the issuer's published keys; exit code 1 where it is not valid.") { File, Issuer, Audience };
        command.SetAction(RunAsync);
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        var token = await InputFile.ReadTextAsync(parsed.GetRequiredValue(File), MaxTokenBytes, cancellationToken);
        var (issuer, keys) = await DiscoverAsync(parsed, cancellationToken);
        var verified = await VerifyAsync(token, issuer, parsed.GetValue(Audience), keys);
        if (parsed.WantsJson())
            await StandardOutput.WriteLineAsync(JsonSerializer.SerializeToUtf8Bytes(verified, CliJson.Default.TokenVerification), cancellationToken);
        else if (verified is { Valid: true, Claims: { } claims })
            Tables.WriteFacts([("valid", Cell.Of("yes")), .. claims.EnumerateObject().Select(c => (c.Name, Cell.Of(TextOf(c.Value))))]);
        if (verified.Reason is not null)
            Remarks.Write($"signsvc: NOT valid: {verified.Reason}");
        else if (parsed.GetValue(Audience) is null)
            Remarks.Warn("the audience was not checked; give --audience.");
        return verified.Valid ? ExitCode.Ok : ExitCode.NotValid;
    }

    /// <summary>RFC 8414 section 3.3: the document must be of the issuer that was asked for. Without <c>--issuer</c> the service names itself.</summary>
    private static async Task<(string Issuer, JsonWebKeySet Keys)> DiscoverAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        using var service = ServiceClient.Connect(parsed);
        var wanted = parsed.GetValue(Issuer)?.TrimEnd('/');
        var root = wanted is null ? service.Url : Connection.ParseUrl(wanted);
        var document = new Uri($"{root.AbsoluteUri.TrimEnd('/')}/.well-known/openid-configuration");
        var metadata = (await service.GetOpenAsync(document, cancellationToken)).Read(CliJson.Default.IssuerMetadata);
        if (metadata is not { Issuer: { } issuer, JwksUri: { } address } || (wanted is not null && !string.Equals(issuer.TrimEnd('/'), wanted, StringComparison.Ordinal)))
            throw new CommandException(ExitCode.Unavailable, $"{document} is not the document of that issuer.", "Check --issuer.");
        var json = await service.GetOpenAsync(Connection.ParseUrl(address), cancellationToken);
        try
        {
            return (issuer, new JsonWebKeySet(System.Text.Encoding.UTF8.GetString(json.Body.Span)));
        }
        catch (ArgumentException e)
        {
            throw new CommandException(ExitCode.Unavailable, $"{address} is no key set.", inner: e);
        }
    }

    private static async Task<TokenVerification> VerifyAsync(string token, string issuer, string? audience, JsonWebKeySet keys)
    {
        var handler = new JwtSecurityTokenHandler { MapInboundClaims = false };
        if (CompactJws.TryParseJwt(token) is not { } jwt)
            return new TokenVerification(Valid: false, "it is not a JWT, or one of its times is no number.");
        var result = await handler.ValidateTokenAsync(token, new TokenValidationParameters
        {
            ValidIssuer = issuer,
            ValidAudience = audience,
            ValidateAudience = audience is not null,
            ValidAlgorithms = SigningAlgorithm.All.Select(a => a.Name),
            RequireSignedTokens = true,
            RequireExpirationTime = true,
            ClockSkew = ClockSkew,
            // RFC 8725 section 3.1: the key settles the algorithm, not the header.
            IssuerSigningKeyResolver = (_, read, kid, _) => keys.Keys.Where(k =>
                string.Equals(k.Kid, kid, StringComparison.Ordinal)
                && string.Equals(k.Alg, ((JwtSecurityToken)read).Header.Alg, StringComparison.Ordinal)),
        });
        if (!result.IsValid)
            return new TokenVerification(Valid: false, Explain(result.Exception, issuer, audience));
        return new TokenVerification(Valid: true, Header: jwt.Header, Claims: jwt.Claims);
    }

    /// <summary>The library's own messages are long and may quote the token.</summary>
    private static string Explain(Exception? fault, string issuer, string? audience) => fault switch
    {
        SecurityTokenExpiredException => "it has expired.",
        SecurityTokenNotYetValidException => "it is not valid yet.",
        SecurityTokenNoExpirationException => "it never expires.",
        SecurityTokenInvalidIssuerException => $"its issuer is not {issuer}.",
        SecurityTokenInvalidAudienceException => $"it is not for {audience}.",
        SecurityTokenSignatureKeyNotFoundException => "the issuer publishes no key of its kid and algorithm.",
        SecurityTokenInvalidAlgorithmException => "its algorithm is not one that is accepted.",
        SecurityTokenInvalidSignatureException => "its signature is not valid.",
        _ => "it is not a signed JWT that can be read.",
    };

    private static string TextOf(JsonElement value) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();
}
