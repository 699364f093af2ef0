using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using SignSvc.Embedded;
using SignSvc.Http;

namespace SignSvc;

/// <summary>What a person at the terminal sees when the service is up.</summary>
public static class Announcement
{
    public static void Announce(this WebApplication app, Node node)
    {
        Console.WriteLine($"SignSvc serves {string.Join(" and ", app.Services.Addresses())}; data in {node.Settings.Data}");
        foreach (var line in app.Services.GetRequiredService<Listeners>().DescribeOthers())
            Console.WriteLine(line);
        if (node.NewBootstrapToken is { } token)
        {
            Console.WriteLine($"First start: the administrator's credential is in {node.BootstrapCredentialFile} (mode 0600).");
            if (node.Settings.PrintBootstrapCredential)
                Console.WriteLine($"It is shown this once: {token}");
        }
    }

    /// <summary>HTTP's addresses as they were bound, so that port 0 is a real port here. Empty before the start.</summary>
    public static ICollection<string> Addresses(this IServiceProvider services) =>
        services.GetRequiredService<Listeners>().HttpOf(services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()?.Addresses ?? []);
}
