using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;
using SignSvc.Operations;

namespace SignSvc.Http;

/// <summary>Limits that Kestrel asks for at every request.</summary>
internal sealed class LiveLimits(IOptions<KestrelServerOptions> kestrel) : ITakesSettings
{
    public Action Prepare(Settings settings) => () => kestrel.Value.Limits.MaxRequestBodySize = settings.Limits.BodyBytes;
}
