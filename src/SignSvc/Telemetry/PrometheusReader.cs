using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using SignSvc.Signing.Telemetry;

namespace SignSvc.Telemetry;

/// <summary>Collects every instrument when somebody asks, one asker at a time.</summary>
public sealed class PrometheusReader : IDisposable
{
    /// <summary>A collector that is slower than this is one too many.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly TextExporter _exporter = new();
    private readonly ConcurrentDictionary<string, Instrument> _declared = new(StringComparer.Ordinal);
    private readonly MeterListener _listener = new();

    public PrometheusReader()
    {
        Reader = new BaseExportingMetricReader(_exporter);
        // It only hears of instruments, and measures nothing: what has no value yet is described all the same.
        _listener.InstrumentPublished = (instrument, _) =>
        {
            if (string.Equals(instrument.Meter.Name, SigningMeters.MeterName, StringComparison.Ordinal))
                _declared.TryAdd(instrument.Name, instrument);
        };
        _listener.Start();
    }

    internal BaseExportingMetricReader Reader { get; }

    /// <summary>Null where the instruments could not be read in time.</summary>
    public async Task<string?> ReadAsync(bool openMetrics, CancellationToken cancellationToken)
    {
        if (!await _gate.WaitAsync(Patience, cancellationToken))
            return null;
        try
        {
            _exporter.Text = new PrometheusText(openMetrics);
            if (!_exporter.Collect!((int)Patience.TotalMilliseconds))
                return null;
            foreach (var instrument in _declared.Values.OrderBy(i => i.Name, StringComparer.Ordinal))
                _exporter.Text.Describe(instrument);
            return _exporter.Text.Finish();
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>The reader belongs to the meter provider, which disposes it.</summary>
    public void Dispose()
    {
        _listener.Dispose();
        _gate.Dispose();
    }

    [ExportModes(ExportModes.Pull)]
    private sealed class TextExporter : BaseExporter<Metric>, IPullMetricExporter
    {
        public PrometheusText Text { get; set; } = new(openMetrics: false);

        public Func<int, bool>? Collect { get; set; }

        public override ExportResult Export(in Batch<Metric> batch)
        {
            foreach (var metric in batch)
                Text.Add(metric);
            return ExportResult.Success;
        }
    }
}
