using System.Globalization;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Ratios;

/// <summary>One answer that is always the same: what serving a key set costs at the least.</summary>
internal static class ConstantEndpoint
{
    public const string Verb = "constant";

    public static Task ServeAsync(int bytes, CancellationToken cancellationToken)
    {
        var body = new byte[bytes];
        Array.Fill(body, (byte)'x');
        return BareServer.ServeAsync(
            async http =>
            {
                http.Response.ContentType = "application/jwk-set+json";
                http.Response.ContentLength = body.Length;
                await http.Response.BodyWriter.WriteAsync(body, http.RequestAborted);
            },
            cancellationToken);
    }

    public static Task<(ChildProcess Process, Uri Url)> StartAsync(int bytes, CancellationToken cancellationToken) =>
        BareServer.StartAsync(cancellationToken, Verb, bytes.ToString(CultureInfo.InvariantCulture));
}
