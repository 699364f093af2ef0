using System.Collections.Immutable;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Access;
using SignSvc.Embedded;
using SignSvc.Http;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Keys.Import;

namespace SignSvc.Keys;

/// <param name="WrappingPublicKey">PEM of the RSA-4096 key to wrap the material with.</param>
/// <param name="WrappingPublicKeyDer">The same as base64 of the SubjectPublicKeyInfo.</param>
/// <param name="Algorithms">How the material may be wrapped.</param>
/// <param name="Token">Good for one import into this key, until <paramref name="ExpiresAt"/>.</param>
public sealed record ImportParametersAnswer(
    string WrappingPublicKey, byte[] WrappingPublicKeyDer, ImmutableArray<string> Algorithms, string Token, DateTimeOffset ExpiresAt);

/// <param name="Token">From the import parameters.</param>
/// <param name="Algorithm"><c>RSA_OAEP_SHA_256</c> (EC keys only) or <c>RSA_AES_KEY_WRAP_SHA_256</c>.</param>
/// <param name="WrappedKey">Base64 of the wrapped DER PKCS#8.</param>
/// <param name="Activate">True: it takes over as soon as its lead is over. False: when the period of the version before it ends.</param>
public sealed record ImportBody(string Token, string Algorithm, string WrappedKey, bool Activate = true);

/// <summary><c>/v1/keys/{key}/import-parameters</c> and <c>/import</c>; docs/import.md shows the commands around them.</summary>
public static class ImportEndpoints
{
    /// <exception cref="StartException">The list of known bad keys cannot be read.</exception>
    public static void AddKeyImport(this IServiceCollection services, Node node)
    {
        services.AddSingleton(node.Wrapping);
        services.AddSingleton(ReadKnownBadKeys(node.Settings.KnownBadKeysFile));
        services.AddSingleton<KeyImport>();
    }

    public static void MapKeyImport(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/keys/{key}").WithTags("Keys").WithProblems();
        group.MapPost("/import-parameters", PrepareAsync).WithName("GetImportParameters");
        group.MapPost("/import", ImportAsync).WithName("ImportKeyMaterial");
    }

    private static async Task<Ok<ImportParametersAnswer>> PrepareAsync(
        HttpContext http, string key, KeyImport import, CancellationToken cancellationToken)
    {
        var parameters = await import.PrepareAsync(http.Caller(), key, cancellationToken);
        http.Response.Headers.CacheControl = "no-store";
        return TypedResults.Ok(new ImportParametersAnswer(
            PemEncoding.WriteString("PUBLIC KEY", parameters.PublicKey) + "\n", parameters.PublicKey,
            [.. WrappedMaterial.Algorithms], parameters.Token, parameters.ExpiresAt));
    }

    /// <summary>With a lead of 0 the version signs already in the answer; else it is announced there, with its time.</summary>
    private static async Task<Ok<KeyAnswer>> ImportAsync(
        HttpContext http, string key, ImportBody body, KeyImport import, KeyScheduler scheduler, CancellationToken cancellationToken)
    {
        var material = WrappedMaterial.Parse(body.Algorithm, body.WrappedKey);
        var imported = await import.ImportAsync(http.Caller(), key, body.Token, material, body.Activate, cancellationToken);
        return TypedResults.Ok(http.AnswerOf(await scheduler.AdvanceAsync(imported, cancellationToken)));
    }

    /// <exception cref="StartException">It cannot be read, or is no such list.</exception>
    public static KnownBadKeys ReadKnownBadKeys(string? file)
    {
        try
        {
            return KnownBadKeys.Parse(file is null ? [] : File.ReadLines(file));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            throw new StartException($"The list of known bad keys {file} cannot be used: {e.Message}", e);
        }
    }
}
