using System.Text;
using SignSvc.Load.Calls;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Ratios;

/// <summary>The peer: node's oidc-provider, one process, client_credentials with ES256 tokens; see <c>load/peers</c>.</summary>
internal static class OidcProvider
{
    private const string Greeting = "listening on ";

    public static Call Token { get; } = new(
        "POST", "/token", $"Basic {Convert.ToBase64String(Encoding.ASCII.GetBytes("load:load-secret-load-secret-load-secret-0"))}",
        "grant_type=client_credentials&resource=urn:api:deploy", ContentType: "application/x-www-form-urlencoded");

    /// <exception cref="MissingToolException">There is no node, or no npm for its packages.</exception>
    /// <exception cref="InvalidOperationException">Its packages do not restore, or it does not start.</exception>
    public static async Task<(ChildProcess Process, Uri Url)> StartAsync(CancellationToken cancellationToken)
    {
        var folder = Path.Combine(Checkout.Root, "load", "peers");
        if (!Directory.Exists(Path.Combine(folder, "node_modules", "oidc-provider")))
            await ChildProcess.RunAsync("npm", ["ci", "--loglevel=error"], cancellationToken, folder);
        Uri? url = null;
        var process = await ChildProcess.StartAsync(
            Node(), [Path.Combine(folder, "oidc-provider.mjs")],
            new Dictionary<string, string>(StringComparer.Ordinal) { ["NODE_ENV"] = "production" },
            line => line.StartsWith(Greeting, StringComparison.Ordinal) && (url = new Uri(line[Greeting.Length..])) is not null,
            cancellationToken);
        return (process, url!);
    }

    /// <summary>The one that the tests install where the machine's own is too old, else the machine's.</summary>
    private static string Node()
    {
        var installed = Path.Combine(Checkout.Root, ".tools", "bin", "node");
        return File.Exists(installed) ? installed : "node";
    }
}
