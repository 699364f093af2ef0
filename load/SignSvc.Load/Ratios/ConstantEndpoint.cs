using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Ratios;

/// <summary>Kestrel with one answer that is always the same: what serving a key set costs at the least.</summary>
internal static class ConstantEndpoint
{
    public const string Verb = "constant";
    private const string Greeting = "constant on ";

    /// <summary>Serves until the process is ended.</summary>
    public static async Task ServeAsync(int bytes, CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        await using var app = builder.Build();
        var body = new byte[bytes];
        Array.Fill(body, (byte)'x');
        app.Run(async http =>
        {
            http.Response.ContentType = "application/jwk-set+json";
            http.Response.ContentLength = body.Length;
            await http.Response.BodyWriter.WriteAsync(body, http.RequestAborted);
        });
        await app.StartAsync(cancellationToken);
        await Console.Out.WriteLineAsync($"{Greeting}{app.Urls.Single()}");
        await app.WaitForShutdownAsync(cancellationToken);
    }

    /// <summary>As a process of its own, with the runtime settings that the service has.</summary>
    public static async Task<(ChildProcess Process, Uri Url)> StartAsync(int bytes, CancellationToken cancellationToken)
    {
        Uri? url = null;
        var process = await ChildProcess.StartAsync(
            "dotnet", [typeof(ConstantEndpoint).Assembly.Location, Verb, bytes.ToString(CultureInfo.InvariantCulture)],
            new Dictionary<string, string>(StringComparer.Ordinal) { ["DOTNET_ThreadPool_UnfairSemaphoreSpinLimit"] = "0" },
            line => line.StartsWith(Greeting, StringComparison.Ordinal) && (url = new Uri(line[Greeting.Length..])) is not null,
            cancellationToken);
        return (process, url!);
    }
}
