using System.Diagnostics;
using OpenTelemetry.Trace;
using SignSvc.Operations;

namespace SignSvc.Telemetry;

/// <summary>Which requests are traced: those whose caller asks for it, where that is trusted, and a share of the others.</summary>
internal sealed class TraceSampling(TelemetrySettings configured) : Sampler, ITakesSettings
{
    private volatile Sampler _sampler = Of(configured);

    public override SamplingResult ShouldSample(in SamplingParameters samplingParameters) => _sampler.ShouldSample(samplingParameters);

    public Action Prepare(Settings settings) => () => _sampler = Of(settings.Telemetry);

    private static Sampler Of(TelemetrySettings settings)
    {
        var share = new TraceIdRatioBasedSampler(settings.TraceShare);
        return settings.TrustTraceparent ? new ParentBasedSampler(share) : new OwnSampler(share);
    }

    /// <summary>
    /// A span under one of ours follows it; what a caller's header asks for counts for nothing, nor does the trace id in it,
    /// by which the share is taken.
    /// </summary>
    private sealed class OwnSampler(Sampler share) : Sampler
    {
        public override SamplingResult ShouldSample(in SamplingParameters samplingParameters)
        {
            var parent = samplingParameters.ParentContext;
            if (parent.TraceId == default)
                return share.ShouldSample(in samplingParameters);
            return parent.IsRemote
                ? share.ShouldSample(new SamplingParameters(default, ActivityTraceId.CreateRandom(), samplingParameters.Name, samplingParameters.Kind))
                : new SamplingResult(parent.TraceFlags.HasFlag(ActivityTraceFlags.Recorded));
        }
    }
}
