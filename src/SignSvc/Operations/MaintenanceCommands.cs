using System.Net.Sockets;
using SignSvc.Http;

namespace SignSvc.Operations;

/// <summary>
/// What the program does beside serving, so that an image needs no shell and no other tool: <c>--check</c> (are the
/// settings good), <c>--healthcheck</c> (does the service of these settings serve), <c>--settings</c> (the reference of all settings).
/// </summary>
internal static class MaintenanceCommands
{
    private const string Usage =
        """
        usage: SignSvc                        serves, on the settings of its environment
               SignSvc tour FILE              serves, and shows a signature of FILE and a token being made and verified
               SignSvc restore [--check] FILE fills an empty store from a backup, or only reads it
               SignSvc --check                whether the settings are good and what they name is there
               SignSvc --healthcheck          whether the service of these settings serves: 0, or 1
               SignSvc --settings             the reference of all settings
        """;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    /// <returns>The exit code; null where the process shall go on.</returns>
    public static async Task<int?> RunAsync(string[] args, IConfiguration configuration, ReadSettings settings, CancellationToken cancellationToken)
    {
        switch (args)
        {
            case ["--check"]:
                var good = settings.Require(configuration);
                Console.WriteLine($"The settings are good; the data folder is {good.Data}.");
                // No fault of the settings: it may well be the service of these settings that runs.
                foreach (var obstacle in ServedAddresses.Obstacles(configuration, good))
                    await Console.Error.WriteLineAsync($"Warning: {obstacle}");
                return 0;
            case ["--healthcheck"]:
                return await ProbeAsync(configuration, cancellationToken);
            case ["--settings"]:
                Console.Write(SettingsReference.Write());
                return 0;
            case ["--help" or "-h"]:
                Console.WriteLine(Usage);
                return 0;
            // A misspelt verb must not serve, and make keys on the way. (Settings are given as --Name=value.)
            case ["tour" or "restore", ..]:
                return null;
            default:
                return args.FirstOrDefault(a => !IsSetting(a)) is { } word ? throw new StartException($"{word} is not known here.\n{Usage}") : null;
        }
    }

    private static bool IsSetting(string argument) =>
        argument.StartsWith("--", StringComparison.Ordinal) && argument.Contains('=', StringComparison.Ordinal);

    /// <summary>Asks the first address by itself, over TLS without looking at the certificate: it is this machine's own.</summary>
    private static async Task<int> ProbeAsync(IConfiguration configuration, CancellationToken cancellationToken)
    {
        var address = BindingAddress.Parse(ServedAddresses.ToAsk(configuration));
        using var handler = new SocketsHttpHandler { UseProxy = false, ConnectTimeout = Patience };
        // It may name any host, and only whether the service answers is asked: any certificate will do, none will not.
        handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null;
        if (address.IsUnixPipe)
            handler.ConnectCallback = (_, cancel) => ConnectAsync(address.UnixPipePath, cancel);
        using var client = new HttpClient(handler) { Timeout = Patience };
        var host = address.IsUnixPipe || address.Host is "*" or "+" or "0.0.0.0" or "[::]" ? "127.0.0.1" : address.Host;
        var port = address.IsUnixPipe ? 80 : address.Port;
        try
        {
            using var answer = await client.GetAsync(new Uri($"{address.Scheme}://{host}:{port}/healthz/ready"), cancellationToken);
            Console.WriteLine(await answer.Content.ReadAsStringAsync(cancellationToken));
            return answer.IsSuccessStatusCode ? 0 : 1;
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
        {
            await Console.Error.WriteLineAsync($"{address} does not answer: {e.Message}");
            return 1;
        }
    }

    private static async ValueTask<Stream> ConnectAsync(string path, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
