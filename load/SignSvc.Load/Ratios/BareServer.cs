using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Ratios;

/// <summary>Kestrel with one handler and nothing around it, as a process of its own: what the service is measured beside.</summary>
internal static class BareServer
{
    private const string Greeting = "serves ";

    /// <summary>Serves until the process is ended.</summary>
    public static async Task ServeAsync(RequestDelegate handler, CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        await using var app = builder.Build();
        app.Run(handler);
        await app.StartAsync(cancellationToken);
        await Console.Out.WriteLineAsync($"{Greeting}{app.Urls.Single()}");
        await app.WaitForShutdownAsync(cancellationToken);
    }

    /// <summary>Starts this program with a verb that serves, under the runtime settings that the service has.</summary>
    public static async Task<(ChildProcess Process, Uri Url)> StartAsync(CancellationToken cancellationToken, params string[] verb)
    {
        Uri? url = null;
        var process = await ChildProcess.StartAsync(
            "dotnet", [typeof(BareServer).Assembly.Location, .. verb],
            new Dictionary<string, string>(StringComparer.Ordinal) { ["DOTNET_ThreadPool_UnfairSemaphoreSpinLimit"] = "0" },
            line => line.StartsWith(Greeting, StringComparison.Ordinal) && (url = new Uri(line[Greeting.Length..])) is not null,
            cancellationToken);
        return (process, url!);
    }
}
