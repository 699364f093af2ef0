using System.Net.Sockets;
using Google.Protobuf;

namespace SignSvc.Load.Calls;

/// <summary>One request, in the forms that the protocols need. What it is made of is encoded once, before it is due.</summary>
/// <param name="Bearer">A service credential; null: the request is a stranger's.</param>
/// <param name="IfNoneMatch">An ETag that the caller has.</param>
public sealed record Call(
    string Method, string Path, string? Bearer = null, string? Json = null, string? IfNoneMatch = null, string ContentType = "application/json")
{
    /// <summary>The gRPC method and its request; null where gRPC has no such call.</summary>
    public (string Method, IMessage Request)? Grpc { get; init; }

    /// <summary>The answer's body is wanted, not only its length.</summary>
    public bool KeepsBody { get; init; }
}

/// <param name="Status">Of HTTP; gRPC's statuses are told as those that HTTP gives for the same fault.</param>
/// <param name="Body">Where it was wanted, or the status is 400 or above.</param>
public readonly record struct Answer(int Status, long BodyBytes, ReadOnlyMemory<byte> Body)
{
    /// <summary>When to come again, as a refusal says it (Retry-After in seconds, gRPC's RetryInfo); null: it does not say.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Signed tokens in the body, over HTTP as over gRPC, by the start that their headers have (<c>{"alg":</c> in base64url); a problem in a token's place is none.</summary>
    public int Tokens => Body.Span.Count("eyJhbGciOi"u8);
}

/// <summary>How a call ends that gets no answer: there is no connection, or it broke.</summary>
public static class NoAnswer
{
    public static bool Is(Exception e) => e is IOException or SocketException or HttpRequestException;
}

/// <summary>How calls travel. A call that gets no answer throws what <see cref="NoAnswer"/> knows.</summary>
public interface ITransport : IAsyncDisposable
{
    ValueTask<Answer> SendAsync(Call call, CancellationToken cancellationToken);
}

public enum Protocol
{
    Http1,
    Http2,
    Grpc,
}
