using System.Text.Json;
using System.Text.RegularExpressions;
using Google.Protobuf.Reflection;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.Extensions.Options;
using SignSvc.Signing;

namespace SignSvc.Http;

/// <summary>Words for requests that did not come as far as an endpoint: routing, Kestrel and binding refuse by a status, or by an exception for programmers.</summary>
internal static partial class BindingProblems
{
    public static Problem OfStatus(HttpContext http, int status) => status switch
    {
        400 => Invalid(UnreadParameters(http)),
        404 => Problems.Create("not-found", 404, "It does not exist.", "There is nothing at this address."),
        405 => Problems.Create("method-not-allowed", 405, "The method is not allowed here.", "See the Allow header."),
        413 => Problems.Create("too-large", 413, "The request is too large.", "The body is larger than this address takes."),
        415 => Problems.Create("unsupported-media-type", 415, "The body has the wrong media type.", IsGrpcMethod(http) ? "This is a gRPC method: send application/grpc, or application/grpc-web." : "Send application/json."),
        408 => Invalid("The body came too slowly.", status),
        426 => Invalid("gRPC takes HTTP/2: call the address of the setting Grpc:Url (port 8081 by default), or one with https, where both sides agree on it. gRPC-Web is taken here.", status),
        _ => Invalid("The request was refused.", status),
    };

    private static bool IsGrpcMethod(HttpContext http) => http.GetEndpoint()?.Metadata.GetMetadata<MethodDescriptor>() is not null;

    public static Problem Of(HttpContext http, BadHttpRequestException e) => e.StatusCode switch
    {
        StatusCodes.Status400BadRequest => e.InnerException switch
        {
            SigningException fault => Problems.Of(fault),
            JsonException { InnerException: SigningException fault } => Problems.Of(fault),
            JsonException json => Invalid(Explain(http, json)),
            _ when NamedParameter().Match(e.Message) is { Success: true } match && match.Groups["name"].Value is not "body" =>
                Invalid($"The parameter {match.Groups["name"].Value} is missing or cannot be read."),
            _ => Invalid("A JSON body is missing or cannot be read."),
        },
        _ => OfStatus(http, e.StatusCode),
    };

    /// <summary>Binding does not say which it was where several were given that are not text.</summary>
    private static string UnreadParameters(HttpContext http)
    {
        var parsed = http.GetEndpoint()?.Metadata.GetOrderedMetadata<IParameterBindingMetadata>() ?? [];
        string[] given = [.. parsed.Where(p => p.HasTryParse && !string.IsNullOrEmpty(http.Request.Query[p.Name])).Select(p => p.Name)];
        return given switch
        {
            [] => "A parameter is missing or cannot be read.",
            [var only] => $"The parameter {only} cannot be read.",
            _ => $"One of the parameters {string.Join(", ", given)} cannot be read.",
        };
    }

    /// <summary>Says where and why, without naming the types behind it.</summary>
    private static string Explain(HttpContext http, JsonException e)
    {
        var where = e.Path is null or "$" ? "The JSON body" : $"The JSON body at {e.Path[..Math.Min(e.Path.Length, 100)]}";
        var why = e.Message switch
        {
            var m when m.Contains("could not be mapped", StringComparison.Ordinal) => "has an unknown member",
            var m when m.Contains("missing required", StringComparison.Ordinal) => $"lacks a required member{NamesIn(m)}",
            var m when m.Contains("Not Unicode", StringComparison.Ordinal) => "holds text that is not Unicode",
            var m when m.Contains("Duplicate", StringComparison.OrdinalIgnoreCase) => "has a member twice",
            var m when m.Contains("maximum configured depth", StringComparison.OrdinalIgnoreCase) => "is nested too deeply",
            var m when m.Contains("could not be converted", StringComparison.Ordinal)
                || m.Contains("doesn't allow", StringComparison.Ordinal) =>
                ChoicesAt(http, e.Path) is { } choices ? $"is none of {choices}" : "has a value of the wrong type",
            _ => "is not well-formed",
        };
        return $"{where} {why}.";
    }

    private static string? ChoicesAt(HttpContext http, string? path) => WireEnums.ChoicesAt(
        http.RequestServices.GetRequiredService<IOptions<JsonOptions>>().Value.SerializerOptions,
        http.GetEndpoint()?.Metadata.GetMetadata<IAcceptsMetadata>()?.RequestType, path);

    /// <summary>The serializer ends its message with the members' names: <c>… including: 'name', 'key'.</c></summary>
    private static string NamesIn(string message)
    {
        const string before = "including: ";
        var at = message.IndexOf(before, StringComparison.Ordinal);
        return at < 0 ? "" : $": {message[(at + before.Length)..].TrimEnd('.').Replace("'", "", StringComparison.Ordinal)}";
    }

    private static Problem Invalid(string detail, int status = 400) =>
        Problems.Create("invalid-request", status, "The request is not valid.", detail);

    /// <summary><c>Failed to bind parameter "int version" from "x".</c></summary>
    [GeneratedRegex("parameter \"(?:[^\" ]+ )?(?<name>\\w+)\"", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex NamedParameter();
}
