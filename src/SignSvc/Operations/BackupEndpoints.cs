using System.Globalization;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using SignSvc.Access;
using SignSvc.Embedded;
using SignSvc.Http;
using SignSvc.Signing.Storage;

namespace SignSvc.Operations;

/// <summary><c>/v1/backup</c>: all that is stored, as of one moment, encrypted for whoever holds the root key.</summary>
public static class BackupEndpoints
{
    private const string MediaType = "application/vnd.signsvc.backup";

    /// <summary>A slower reader is cut off: it keeps the store's log from being tidied.</summary>
    private const int MinBytesPerSecond = 64 * 1024;

    public static void AddBackups(this IServiceCollection services, Node node)
    {
        services.AddSingleton(node.BackupKey);
        services.AddSingleton<Backups>();
    }

    public static void MapBackups(this IEndpointRouteBuilder routes) =>
        routes.MapGroup("/v1/backup").WithTags("Operations").WithProblems()
            .MapPost("/", CreateAsync).WithName("CreateBackup").Produces(StatusCodes.Status200OK, contentType: MediaType);

    /// <summary>An answer that breaks off is refused by a restore; its end is marked inside.</summary>
    private static async Task CreateAsync(HttpContext http, Backups backups, TimeProvider time, CancellationToken cancellationToken) =>
        await backups.CreateAsync(http.Caller(), () => Begin(http, time.GetUtcNow()), cancellationToken);

    private static Stream Begin(HttpContext http, DateTimeOffset now)
    {
        if (http.Features.Get<IHttpMinResponseDataRateFeature>() is { } rate)
            rate.MinDataRate = new MinDataRate(MinBytesPerSecond, gracePeriod: TimeSpan.FromSeconds(10));
        http.Response.ContentType = MediaType;
        http.Response.Headers.CacheControl = "no-store";
        http.Response.Headers.ContentDisposition =
            string.Create(CultureInfo.InvariantCulture, $"attachment; filename=signsvc-{now:yyyyMMdd'T'HHmmss'Z'}.backup");
        return http.Response.Body;
    }
}
