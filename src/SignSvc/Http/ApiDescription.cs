using System.Security.Cryptography;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.Net.Http.Headers;
using Microsoft.OpenApi;

namespace SignSvc.Http;

/// <summary>
/// The OpenAPI 3.1 document of this API, written once a process: it is open to everybody, and writing it costs as much
/// as some thousand tokens.
/// </summary>
public sealed class ApiDescription([FromKeyedServices(ApiDescription.Name)] IOpenApiDocumentProvider documents)
{
    public const string Name = "v1";

    private readonly Lazy<Task<(byte[] Json, EntityTagHeaderValue Tag)>> _written = new(() => WriteAsync(documents));

    /// <summary>With a strong ETag; 304 to who has it already.</summary>
    public async Task<IResult> AnswerAsync(CancellationToken cancellationToken)
    {
        var (json, tag) = await _written.Value.WaitAsync(cancellationToken);
        // As a stream: a reader that hardly reads keeps one piece of it in memory, not the whole.
        return TypedResults.Stream(new MemoryStream(json, writable: false), "application/json; charset=utf-8", entityTag: tag);
    }

    private static async Task<(byte[] Json, EntityTagHeaderValue Tag)> WriteAsync(IOpenApiDocumentProvider documents)
    {
        var document = await documents.GetOpenApiDocumentAsync(CancellationToken.None);
        using var json = new MemoryStream();
        await document.SerializeAsJsonAsync(json, OpenApiSpecVersion.OpenApi3_1, CancellationToken.None);
        var bytes = json.ToArray();
        return (bytes, new EntityTagHeaderValue($"\"{Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 16))}\""));
    }
}
