using System.Globalization;
using System.Text;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace SignSvc.Grpc.Wire;

/// <summary>How a call ended, as headers or trailers: <c>grpc-status</c>, <c>grpc-message</c>, <c>grpc-status-details-bin</c>.</summary>
internal static class StatusHeaders
{
    /// <summary>Clients take 8 KiB of headers unless told otherwise; what does not fit beside the rest is cut or left out.</summary>
    private const int LongestMessage = 1024;
    private const int LargestDetails = 6 * 1024;

    private static readonly StringValues Zero = "0";

    public static void WriteOk(IHeaderDictionary headers) => headers.GrpcStatus = Zero;

    public static void Write(IHeaderDictionary headers, GrpcException fault)
    {
        headers.GrpcStatus = ((int)fault.Status).ToString(CultureInfo.InvariantCulture);
        headers.GrpcMessage = EncodeMessage(fault.Message);
        if (fault.Details.Count == 0)
            return;

        var status = fault.ToStatus();
        status.Message = Cut(status.Message);
        if (status.CalculateSize() <= LargestDetails)
            headers["grpc-status-details-bin"] = BinaryHeader.Encode(status.ToByteArray());
    }

    /// <summary>UTF-8, all but printable ASCII as %XX, and the percent sign too (PROTOCOL-HTTP2.md, Percent-Encoded).</summary>
    internal static string EncodeMessage(string message)
    {
        var text = Cut(message);
        if (!text.AsSpan().ContainsAnyExceptInRange(' ', '~') && !text.Contains('%', StringComparison.Ordinal))
            return text;

        var encoded = new StringBuilder(text.Length + 16);
        foreach (var b in Encoding.UTF8.GetBytes(text))
        {
            if (b is >= (byte)' ' and <= (byte)'~' and not (byte)'%')
                encoded.Append((char)b);
            else
                encoded.Append('%').Append(b.ToString("X2", CultureInfo.InvariantCulture));
        }

        return encoded.ToString();
    }

    private static string Cut(string message)
    {
        if (message.Length <= LongestMessage)
            return message;
        return char.IsHighSurrogate(message[LongestMessage - 1])
            ? message[..(LongestMessage - 1)]
            : message[..LongestMessage];
    }
}
