using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;
using OpenTelemetry.Metrics;

namespace SignSvc.Telemetry;

/// <summary>
/// One answer in Prometheus' text format 0.0.4, or in OpenMetrics 1.0.0, which alone has exemplars. Names follow
/// OpenTelemetry's rules for Prometheus: dots become underscores, the unit is appended, counters end in <c>_total</c>.
/// </summary>
internal sealed class PrometheusText(bool openMetrics)
{
    private readonly StringBuilder _text = new(64 * 1024);
    private readonly HashSet<string> _described = new(StringComparer.Ordinal);

    public string Finish() => openMetrics ? _text.Append("# EOF\n").ToString() : _text.ToString();

    public void Add(Metric metric)
    {
        var isCounter = metric.MetricType is MetricType.LongSum or MetricType.DoubleSum;
        var isHistogram = metric.MetricType is MetricType.Histogram;
        if (metric.MetricType is MetricType.ExponentialHistogram)
            return;
        var family = NameOf(metric.Name, metric.Unit, isCounter);
        var sample = isCounter ? $"{family}_total" : family;
        _described.Add(metric.Name);
        Describe(openMetrics ? family : sample, isCounter ? "counter" : isHistogram ? "histogram" : "gauge", metric.Description);
        foreach (ref readonly var point in metric.GetMetricPoints())
        {
            if (isHistogram)
                AddHistogram(sample, in point);
            else
                AddSample(sample, Labels(point.Tags), ValueOf(metric.MetricType, in point));
        }
    }

    /// <summary>An instrument that had nothing to say this time: its name, type and meaning.</summary>
    public void Describe(Instrument instrument)
    {
        if (!_described.Add(instrument.Name))
            return;
        var isCounter = instrument is Counter<long> or ObservableCounter<long>;
        var family = NameOf(instrument.Name, instrument.Unit ?? "", isCounter);
        Describe(
            isCounter && !openMetrics ? $"{family}_total" : family,
            isCounter ? "counter" : instrument is Histogram<double> ? "histogram" : "gauge",
            instrument.Description ?? "");
    }

    private void Describe(string name, string type, string meaning)
    {
        _text.Append("# TYPE ").Append(name).Append(' ').Append(type).Append('\n');
        if (meaning.Length > 0)
            _text.Append("# HELP ").Append(name).Append(' ').Append(Escape(meaning)).Append('\n');
    }

    /// <summary>Units as OpenTelemetry's compatibility rules spell them; annotations in braces say nothing of a unit.</summary>
    internal static string NameOf(string name, string unit, bool isCounter)
    {
        var text = new StringBuilder(name.Length + 8);
        foreach (var c in name)
            text.Append(char.IsAsciiLetterOrDigit(c) || c == ':' ? c : '_');
        var suffix = unit switch
        {
            "s" => "_seconds",
            "ms" => "_milliseconds",
            "By" => "_bytes",
            "1" when !isCounter => "_ratio",
            _ => "",
        };
        if (suffix.Length > 0 && !name.EndsWith(suffix[1..], StringComparison.Ordinal))
            text.Append(suffix);
        return text.ToString();
    }

    private static double ValueOf(MetricType type, in MetricPoint point) => type switch
    {
        MetricType.LongSum or MetricType.LongSumNonMonotonic => point.GetSumLong(),
        MetricType.DoubleSum or MetricType.DoubleSumNonMonotonic => point.GetSumDouble(),
        MetricType.LongGauge => point.GetGaugeLastValueLong(),
        _ => point.GetGaugeLastValueDouble(),
    };

    private void AddSample(string name, string labels, double value)
    {
        _text.Append(name);
        if (labels.Length > 0)
            _text.Append('{').Append(labels).Append('}');
        _text.Append(' ').Append(Number(value)).Append('\n');
    }

    private void AddHistogram(string name, in MetricPoint point)
    {
        var labels = Labels(point.Tags);
        var separator = labels.Length > 0 ? "," : "";
        var count = 0L;
        var below = double.NegativeInfinity;
        foreach (var bucket in point.GetHistogramBuckets())
        {
            count += bucket.BucketCount;
            var bound = double.IsPositiveInfinity(bucket.ExplicitBound) ? "+Inf" : Number(bucket.ExplicitBound);
            _text.Append(CultureInfo.InvariantCulture, $"{name}_bucket{{{labels}{separator}le=\"{bound}\"}} {count}");
            if (openMetrics)
                AddExemplar(in point, below, bucket.ExplicitBound);
            _text.Append('\n');
            below = bucket.ExplicitBound;
        }

        AddSample($"{name}_sum", labels, point.GetHistogramSum());
        AddSample($"{name}_count", labels, point.GetHistogramCount());
    }

    /// <summary>A traced request that fell into this bucket: from the figure to the trace by one click.</summary>
    private void AddExemplar(in MetricPoint point, double above, double upTo)
    {
        if (!point.TryGetExemplars(out var exemplars))
            return;
        foreach (ref readonly var exemplar in exemplars)
        {
            if (exemplar.TraceId == default || exemplar.DoubleValue <= above || exemplar.DoubleValue > upTo)
                continue;
            _text.Append(
                CultureInfo.InvariantCulture,
                $" # {{trace_id=\"{exemplar.TraceId.ToHexString()}\",span_id=\"{exemplar.SpanId.ToHexString()}\"}} {Number(exemplar.DoubleValue)} {exemplar.Timestamp.ToUnixTimeMilliseconds() / 1000.0:F3}");
            return;
        }
    }

    private static string Labels(OpenTelemetry.ReadOnlyTagCollection tags)
    {
        if (tags.Count == 0)
            return "";
        var text = new StringBuilder();
        foreach (var (name, value) in tags)
        {
            if (text.Length > 0)
                text.Append(',');
            foreach (var c in name)
                text.Append(char.IsAsciiLetterOrDigit(c) ? c : '_');
            text.Append("=\"").Append(Escape(ValueText(value)).Replace("\"", "\\\"", StringComparison.Ordinal)).Append('"');
        }

        return text.ToString();
    }

    private static string ValueText(object? value) => value switch
    {
        bool truth => truth ? "true" : "false",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "",
    };

    private static string Escape(string text) =>
        text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);

    private static string Number(double value) => value switch
    {
        double.PositiveInfinity => "+Inf",
        double.NegativeInfinity => "-Inf",
        _ => value.ToString("R", CultureInfo.InvariantCulture),
    };
}
