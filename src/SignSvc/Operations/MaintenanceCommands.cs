using System.Net.Sockets;

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
    public static async Task<int?> RunAsync(string[] args, WebApplicationBuilder builder, Settings settings, CancellationToken cancellationToken)
    {
        switch (args)
        {
            case ["--check"]:
                return Check(builder.Configuration, settings);
            case ["--healthcheck"]:
                return await ProbeAsync(builder.Configuration, cancellationToken);
            case ["--settings"]:
                Console.Write(SettingsReference.Write());
                return 0;
            case ["--help" or "-h"]:
                Console.WriteLine(Usage);
                return 0;
            // A misspelt verb must not serve, and make keys on the way. (Settings are given as --Name=value.)
            case [['-', ..] word] when !word.Contains('=', StringComparison.Ordinal):
                throw new StartException($"{word} is not known.\n{Usage}");
            default:
                return null;
        }
    }

    /// <summary>The settings by themselves were good, or the process would not be here: what is left is what they name.</summary>
    private static int Check(ConfigurationManager configuration, Settings settings)
    {
        var faults = new List<string>();
        foreach (var url in AddressesOf(configuration).Where(a => !Http.Listeners.CanParse(a)))
            faults.Add($"ASPNETCORE_URLS: '{url}' is not an address that can be served.");
        foreach (var (name, file) in new[]
        {
            ("RootKeyFile", settings.RootKeyFile),
            ("KnownBadKeysFile", settings.KnownBadKeysFile),
            ("Store:PostgresPasswordFile", settings.Store.PostgresPasswordFile),
            ("Telemetry:OtlpHeadersFile", settings.Telemetry.OtlpHeadersFile),
            ("Kestrel:Certificates:Default:Path", configuration["Kestrel:Certificates:Default:Path"]),
        })
        {
            if (file is { Length: > 0 } && Unreadable(file) is { } fault)
                faults.Add($"{name}: {file}: {fault}");
        }

        if (faults.Count > 0)
            throw new StartException($"The settings are wrong:\n{string.Join('\n', faults.Select(f => $"  - {f}"))}");
        Console.WriteLine($"The settings are good; the data folder is {settings.Data}.");
        return 0;
    }

    private static string? Unreadable(string file)
    {
        try
        {
            using var open = File.OpenRead(file);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e is UnauthorizedAccessException ? "may not be read." : "cannot be read.";
        }
    }

    private static string[] AddressesOf(ConfigurationManager configuration) =>
        (configuration[WebHostDefaults.ServerUrlsKey] is { Length: > 0 } urls ? urls : Http.Listeners.DefaultUrl)
            .Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <summary>Asks the first address by itself, over TLS without looking at the certificate: it is this machine's own.</summary>
    private static async Task<int> ProbeAsync(ConfigurationManager configuration, CancellationToken cancellationToken)
    {
        var address = BindingAddress.Parse(AddressesOf(configuration)[0]);
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
