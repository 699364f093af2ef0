using System.Buffers;
using System.Buffers.Text;
using System.IO.Pipelines;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Ratios;

/// <summary>
/// The least that can issue a token over HTTP: it reads the request that the service gets, writes the same claims, signs with .NET, and
/// answers. It knows no caller, no policy, no profile and no second key, records nothing and counts nothing: what the service costs
/// beyond this is what it is for, and what this costs beyond a raw signature is HTTP, JSON and a hash.
/// </summary>
internal static class BareIssuer
{
    public const string Verb = "issuer";

    private static readonly byte[] Header = Segment("""{"alg":"ES256","kid":"01a20548-8dc6-7209-a645-ac7955887e02","typ":"at+jwt"}"""u8);

    /// <summary>Made anew by each process.</summary>
    internal static readonly ECDsa Key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public static Task<(ChildProcess Process, Uri Url)> StartAsync(CancellationToken cancellationToken) => BareServer.StartAsync(cancellationToken, Verb);

    public static Task ServeAsync(CancellationToken cancellationToken) => BareServer.ServeAsync(IssueAsync, cancellationToken);

    private static async Task IssueAsync(HttpContext http)
    {
        var body = http.Request.BodyReader;
        ReadResult read;
        while (!(read = await body.ReadAsync(http.RequestAborted)).IsCompleted)
            body.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        var answer = new ArrayBufferWriter<byte>(1024);
        Issue(read.Buffer, answer);
        body.AdvanceTo(read.Buffer.End);
        http.Response.StatusCode = StatusCodes.Status201Created;
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = answer.WrittenCount;
        await http.Response.BodyWriter.WriteAsync(answer.WrittenMemory, http.RequestAborted);
    }

    internal static void Issue(ReadOnlySequence<byte> request, ArrayBufferWriter<byte> answer)
    {
        using var asked = JsonDocument.Parse(request);
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
        var expires = now + asked.RootElement.GetProperty("lifetimeSeconds").GetInt64();
        var jti = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(24));
        var claims = new ArrayBufferWriter<byte>(512);
        using (var writer = new Utf8JsonWriter(claims))
        {
            writer.WriteStartObject();
            writer.WriteString("iss", "http://127.0.0.1:8080");
            writer.WriteString("sub", asked.RootElement.GetProperty("subject").GetString());
            writer.WriteString("aud", asked.RootElement.GetProperty("audience").GetString());
            writer.WriteString("client_id", "credential:admin");
            writer.WriteNumber("iat", now);
            writer.WriteNumber("exp", expires);
            writer.WriteString("jti", jti);
            foreach (var claim in asked.RootElement.GetProperty("claims").EnumerateObject())
                claim.WriteTo(writer);
            writer.WriteEndObject();
        }

        var token = new byte[Header.Length + 1 + Base64Url.GetEncodedLength(claims.WrittenCount) + 1 + Base64Url.GetEncodedLength(64)];
        Header.CopyTo(token, 0);
        token[Header.Length] = (byte)'.';
        var end = Header.Length + 1;
        end += Base64Url.EncodeToUtf8(claims.WrittenSpan, token.AsSpan(end));
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(token.AsSpan(0, end), digest);
        token[end++] = (byte)'.';
        Base64Url.EncodeToUtf8(Key.SignHash(digest.ToArray(), DSASignatureFormat.IeeeP1363FixedFieldConcatenation), token.AsSpan(end));

        using var written = new Utf8JsonWriter(answer);
        written.WriteStartObject();
        written.WriteString("token"u8, token);
        written.WriteNumber("expiresAt"u8, expires);
        written.WriteString("jti"u8, jti);
        written.WriteEndObject();
    }

    private static byte[] Segment(ReadOnlySpan<byte> json)
    {
        var segment = new byte[Base64Url.GetEncodedLength(json.Length)];
        Base64Url.EncodeToUtf8(json, segment);
        return segment;
    }
}
