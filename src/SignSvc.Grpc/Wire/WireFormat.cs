using System.IO.Pipelines;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace SignSvc.Grpc.Wire;

/// <summary>How messages travel: gRPC on HTTP/2, or gRPC-Web as bytes or base64 on any HTTP (PROTOCOL-WEB.md).</summary>
internal sealed class WireFormat
{
    public static readonly WireFormat Native = new("application/grpc", isWeb: false, isText: false);
    public static readonly WireFormat Web = new("application/grpc-web+proto", isWeb: true, isText: false);
    public static readonly WireFormat WebText = new("application/grpc-web-text+proto", isWeb: true, isText: true);

    private WireFormat(string contentType, bool isWeb, bool isText)
    {
        ContentType = contentType;
        IsWeb = isWeb;
        IsText = isText;
    }

    public StringValues ContentType { get; }

    /// <summary>Browsers cannot read trailers: they are sent as a last frame.</summary>
    public bool IsWeb { get; }

    public bool IsText { get; }

    /// <summary>Answers 405, 415 or 426 itself where the request is no gRPC call.</summary>
    public static bool TryAccept(HttpContext http, out WireFormat format)
    {
        format = Native;
        if (!HttpMethods.IsPost(http.Request.Method))
        {
            http.Response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            http.Response.Headers.Allow = HttpMethods.Post;
            return false;
        }

        if (Parse(http.Request.ContentType) is not { } known)
        {
            http.Response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
            return false;
        }

        if (!known.IsWeb && !HttpProtocol.IsHttp2(http.Request.Protocol) && !HttpProtocol.IsHttp3(http.Request.Protocol))
        {
            http.Response.StatusCode = StatusCodes.Status426UpgradeRequired;
            http.Response.Headers.Upgrade = "h2c";
            http.Response.Headers.Connection = "Upgrade";
            return false;
        }

        format = known;
        return true;
    }

    public static WireFormat? Parse(string? contentType)
    {
        var type = contentType.AsSpan();
        var end = type.IndexOf(';');
        type = (end < 0 ? type : type[..end]).Trim();
        if (Is(type, "application/grpc") || Is(type, "application/grpc+proto"))
            return Native;
        if (Is(type, "application/grpc-web") || Is(type, "application/grpc-web+proto"))
            return Web;
        if (Is(type, "application/grpc-web-text") || Is(type, "application/grpc-web-text+proto"))
            return WebText;
        return null;

        static bool Is(ReadOnlySpan<char> type, string known) => type.Equals(known, StringComparison.OrdinalIgnoreCase);
    }

    public PipeReader OpenRequest(HttpContext http) =>
        IsText
            ? PipeReader.Create(new CryptoStream(http.Request.Body, new FromBase64Transform(), CryptoStreamMode.Read))
            : http.Request.BodyReader;
}
