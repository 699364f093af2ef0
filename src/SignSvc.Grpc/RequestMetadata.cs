using System.Diagnostics.CodeAnalysis;
using Microsoft.AspNetCore.Http;

namespace SignSvc.Grpc;

/// <summary>Metadata that the client sent: its HTTP headers.</summary>
public sealed class RequestMetadata
{
    private readonly IHeaderDictionary _headers;

    internal RequestMetadata(IHeaderDictionary headers) => _headers = headers;

    /// <summary>The last value under this name, as gRPC's libraries choose where one is asked for.</summary>
    public bool TryGet(string name, [NotNullWhen(true)] out string? value)
    {
        value = _headers[name] is [.., { } last] ? last : null;
        return value is not null;
    }

    /// <summary>Every value under this name, in the order sent; empty if there is none.</summary>
    public IReadOnlyList<string> GetAll(string name) => _headers[name].OfType<string>().ToArray();

    /// <summary>Every value under a <c>-bin</c> name, in the order sent; comma-joined values are taken apart.</summary>
    /// <exception cref="GrpcException"><see cref="StatusCode.Internal"/>: a value is not base64.</exception>
    public IReadOnlyList<byte[]> GetAllBinary(string name)
    {
        var values = new List<byte[]>();
        foreach (var header in _headers[name])
        {
            foreach (var value in (header ?? "").Split(','))
            {
                values.Add(Wire.BinaryHeader.TryDecode(value, out var bytes)
                    ? bytes
                    : throw new GrpcException(StatusCode.Internal, $"Metadata '{name}' is not base64."));
            }
        }

        return values;
    }
}
