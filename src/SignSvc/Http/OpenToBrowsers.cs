using Microsoft.AspNetCore.Http.HttpResults;

namespace SignSvc.Http;

/// <summary>What everybody may read, the scripts of any web page may read, too (Fetch standard, section 3.3: CORS).</summary>
internal static class OpenToBrowsers
{
    public static void AllowReadingAnywhere(this HttpResponse response)
    {
        response.Headers.AccessControlAllowOrigin = "*";
        response.Headers.AccessControlExposeHeaders = "ETag";
    }

    /// <summary>A browser asks before it sends a condition.</summary>
    public static void MapPreflight(this IEndpointRouteBuilder routes, string path) =>
        routes.MapMethods(path, [HttpMethods.Options], Answer).ExcludeFromDescription();

    private static NoContent Answer(HttpContext http)
    {
        var headers = http.Response.Headers;
        headers.AccessControlAllowOrigin = "*";
        headers.AccessControlAllowMethods = "GET, HEAD";
        headers.AccessControlAllowHeaders = "If-None-Match, Cache-Control";
        headers.AccessControlMaxAge = "86400";
        return TypedResults.NoContent();
    }
}
