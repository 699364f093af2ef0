using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Access;
using SignSvc.Http;
using SignSvc.Signing.Keys;

namespace SignSvc.Keys;

/// <param name="Pem">Certificates in PEM, the version's own first; empty: none from now on.</param>
public sealed record CertificateChainBody(string Pem);

/// <summary><c>PUT /v1/keys/{key}/versions/{n}/chain</c>: what stands in <c>x5c</c>.</summary>
public static class CertificateChainEndpoints
{
    public static void AddCertificateChains(this IServiceCollection services) => services.AddSingleton<CertificateChains>();

    public static void MapCertificateChains(this IEndpointRouteBuilder routes) =>
        routes.MapGroup("/v1/keys/{key}/versions/{version:int}/chain").WithTags("Keys").WithProblems()
            .MapPut("/", PutAsync).WithName("PutCertificateChain");

    private static async Task<Ok<KeyAnswer>> PutAsync(
        HttpContext http, string key, int version, CertificateChainBody body, CertificateChains chains, CancellationToken cancellationToken) =>
        TypedResults.Ok(http.AnswerOf(await chains.PutAsync(http.Caller(), key, version, body.Pem, cancellationToken)));
}
