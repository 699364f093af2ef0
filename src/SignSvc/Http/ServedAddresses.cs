namespace SignSvc.Http;

/// <summary>Every address that the settings ask for, and what is wrong with them before the first one is opened.</summary>
internal static class ServedAddresses
{
    public const string HttpVariable = "ASPNETCORE_URLS";
    public const string GrpcVariable = "SignSvc__Grpc__Url";
    public const string KubernetesVariable = "SignSvc__Kubernetes__Socket";

    /// <summary>HTTP's, as they are written. Endpoints in Kestrel's own section take their place where none are named.</summary>
    public static string[] HttpUrls(IConfiguration configuration) =>
        configuration[WebHostDefaults.ServerUrlsKey] is { Length: > 0 } urls
            ? urls.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            : KestrelEndpoints(configuration).Any() ? [] : [Listeners.DefaultUrl];

    /// <summary>Where the service answers HTTP, for one who asks it from this machine.</summary>
    public static string ToAsk(IConfiguration configuration) =>
        HttpUrls(configuration).Concat(KestrelEndpoints(configuration).Select(e => e.Url)).FirstOrDefault(ServedAddress.CanParse) ?? Listeners.DefaultUrl;

    /// <summary>Nobody named it, so that a second service on a machine goes without it rather than not at all.</summary>
    public static bool IsGrpcDefault(IConfiguration configuration) => configuration["SignSvc:Grpc:Url"] is null;

    /// <summary>What is wrong with them whatever else runs on this machine.</summary>
    public static IEnumerable<string> Faults(IConfiguration configuration, Settings settings)
    {
        var http = HttpUrls(configuration);
        var kestrel = KestrelEndpoints(configuration).ToArray();
        if (http.Length == 0 && kestrel.Length == 0)
            yield return $"{HttpVariable} names no address: write one, or leave it out for {Listeners.DefaultUrl}.";
        foreach (var (setting, url) in http.Select(u => (HttpVariable, u)).Concat(kestrel.Select(e => (e.Setting, e.Url))).Where(a => !ServedAddress.CanParse(a.Item2)))
            yield return $"{setting}: {ServedAddress.NotOne(url)}";
        var all = Of(configuration, settings).ToArray();
        for (var i = 0; i < all.Length; i++)
        {
            if (all[..i].FirstOrDefault(all[i].Overlaps) is { } twice)
                yield return $"{all[i].Setting}: {all[i].Url} and {twice.Setting}: {twice.Url} are the same address. Give each a port of its own.";
        }

        if (!HasCertificate(configuration.GetSection("Kestrel:Certificates:Default")))
        {
            var ownCertificate = kestrel.Where(e => e.HasCertificate).Select(e => e.Setting).ToHashSet(StringComparer.Ordinal);
            foreach (var address in all.Where(a => a.IsTls && !ownCertificate.Contains(a.Setting)))
            {
                yield return $"{address.Setting}: {address.Url} needs a certificate. Name its file in Kestrel__Certificates__Default__Path, with "
                    + "Kestrel__Certificates__Default__KeyPath (PEM) or Kestrel__Certificates__Default__Password (PKCS#12), or serve http.";
            }
        }
    }

    /// <summary>What stands in the way of serving them now: a port in use, no right to it, an address of another machine.</summary>
    public static string[] Obstacles(IConfiguration configuration, Settings settings) =>
        [.. Of(configuration, settings).Select(a => a.Obstacle()).OfType<string>()];

    /// <summary>Before anything is opened or made, so that a start that cannot serve leaves nothing behind.</summary>
    /// <exception cref="StartException">Names every address that cannot be served.</exception>
    public static void RequireFree(IConfiguration configuration, Settings settings)
    {
        var obstacles = Obstacles(configuration, settings);
        if (obstacles.Length > 0)
            throw new StartException(string.Join('\n', obstacles));
    }

    private static IEnumerable<ServedAddress> Of(IConfiguration configuration, Settings settings)
    {
        foreach (var url in HttpUrls(configuration).Where(ServedAddress.CanParse))
            yield return ServedAddress.Parse(HttpVariable, url);
        foreach (var endpoint in KestrelEndpoints(configuration).Where(e => ServedAddress.CanParse(e.Url)))
            yield return ServedAddress.Parse(endpoint.Setting, endpoint.Url);
        if (!IsGrpcDefault(configuration) && settings.Grpc.Url.Length > 0 && ServedAddress.CanParse(settings.Grpc.Url))
            yield return ServedAddress.Parse(GrpcVariable, settings.Grpc.Url);
        // An abstract name is no path, and is checked by the kernel alone.
        if (settings.Kubernetes.Socket.StartsWith('/') && $"http://unix:{settings.Kubernetes.Socket}" is var socket && ServedAddress.CanParse(socket))
            yield return ServedAddress.Parse(KubernetesVariable, socket);
    }

    private static IEnumerable<KestrelEndpoint> KestrelEndpoints(IConfiguration configuration) =>
        configuration.GetSection("Kestrel:Endpoints").GetChildren()
            .Select(e => new KestrelEndpoint($"Kestrel__Endpoints__{e.Key}__Url", e["Url"] ?? "", HasCertificate(e.GetSection("Certificate"))));

    private static bool HasCertificate(IConfigurationSection section) => (section["Path"] ?? section["Subject"]) is { Length: > 0 };

    private sealed record KestrelEndpoint(string Setting, string Url, bool HasCertificate);
}
