using Microsoft.AspNetCore.Http.HttpResults;

namespace SignSvc.Keys;

/// <summary><c>/schemas/keys.json</c>: the JSON Schema of declared keys, for editors, which have no credential.</summary>
public static class ManifestSchemaEndpoint
{
    private static readonly Lazy<byte[]> Schema = new(Read);

    public static void MapManifestSchema(this IEndpointRouteBuilder routes) =>
        routes.MapGet("/schemas/keys.json", ReadSchema).WithTags("Keys").WithName("ReadManifestSchema").AllowAnonymous()
            .Produces(200, contentType: "application/schema+json");

    private static FileContentHttpResult ReadSchema(HttpContext http)
    {
        http.Response.Headers.CacheControl = "public, max-age=3600";
        http.Response.Headers.AccessControlAllowOrigin = "*";
        return TypedResults.File(Schema.Value, "application/schema+json");
    }

    private static byte[] Read()
    {
        using var resource = typeof(ManifestSchemaEndpoint).Assembly.GetManifestResourceStream("keys.schema.json")!;
        var bytes = new byte[resource.Length];
        resource.ReadExactly(bytes);
        return bytes;
    }
}
