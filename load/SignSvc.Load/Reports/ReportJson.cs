using System.Text.Encodings.Web;
using System.Text.Json;

namespace SignSvc.Load.Reports;

/// <summary>Figures for programs, in one line: a half hour by the second is no reading.</summary>
internal static class ReportJson
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Of<T>(T report) => JsonSerializer.Serialize(report, Options) + "\n";
}
