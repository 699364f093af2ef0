using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tokens;

/// <summary>A JWT's claims, settled.</summary>
public sealed record TokenClaims(
    string Issuer,
    string Subject,
    string ClientId,
    IReadOnlyList<string> Audiences,
    DateTimeOffset IssuedAt,
    DateTimeOffset ExpiresAt,
    string TokenId,
    JsonElement? Further);

/// <summary>Writes JWS compact serialization (RFC 7515 section 7.1) of JWTs (RFC 7519), and access tokens as RFC 9068 wants them.</summary>
public static class TokenWriter
{
    private const int UsualPayloadBytes = 1024;

    /// <summary>Of RSA 4096 in base64url, and the dot before it.</summary>
    private const int LongestSignature = 1 + 683;

    /// <summary>Header and payload, each base64url, joined by a dot, in ASCII: what is signed.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: the token would be longer than those that are read here (<see cref="CompactJws.MaxLength"/>), and could be neither introspected nor revoked.</exception>
    public static byte[] WriteSigningInput(string type, SigningAlgorithm algorithm, string kid, TokenClaims claims)
    {
        var header = WriteHeader(type, algorithm, kid);
        using var payload = new JsonText(UsualPayloadBytes);
        var writer = payload.Write();
        WritePayload(writer, claims);
        writer.Flush();

        var headerLength = Base64Url.GetEncodedLength(header.Length);
        var length = headerLength + 1 + Base64Url.GetEncodedLength(payload.Length);
        if (length + LongestSignature > CompactJws.MaxLength)
            throw new SigningException(SigningFault.InvalidRequest, $"The token would have more than {CompactJws.MaxLength} characters: it says too much.");
        var input = new byte[length];
        Base64Url.EncodeToUtf8(header, input);
        input[headerLength] = (byte)'.';
        Base64Url.EncodeToUtf8(payload.Bytes, input.AsSpan(headerLength + 1));
        return input;
    }

    /// <summary>Of alg, kid and typ alone, as JSON.</summary>
    public static byte[] WriteHeader(string type, SigningAlgorithm algorithm, string kid) =>
        Encoding.UTF8.GetBytes($$"""{"alg":"{{algorithm.Name}}","kid":"{{kid}}","typ":"{{type}}"}""");

    /// <param name="signature">r‖s of fixed width, or the RSA signature (RFC 7518 sections 3.3 to 3.5).</param>
    public static string Join(ReadOnlySpan<byte> signingInput, ReadOnlySpan<byte> signature)
    {
        var length = signingInput.Length + 1 + Base64Url.GetEncodedLength(signature.Length);
        var buffer = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            signingInput.CopyTo(buffer);
            buffer[signingInput.Length] = (byte)'.';
            Base64Url.EncodeToUtf8(signature, buffer.AsSpan(signingInput.Length + 1));
            return Encoding.ASCII.GetString(buffer, 0, length);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static void WritePayload(Utf8JsonWriter writer, TokenClaims claims)
    {
        writer.WriteStartObject();
        writer.WriteString("iss"u8, claims.Issuer);
        writer.WriteString("sub"u8, claims.Subject);
        if (claims.Audiences.Count == 1)
        {
            writer.WriteString("aud"u8, claims.Audiences[0]);
        }
        else
        {
            writer.WriteStartArray("aud"u8);
            foreach (var audience in claims.Audiences)
                writer.WriteStringValue(audience);
            writer.WriteEndArray();
        }

        writer.WriteString("client_id"u8, claims.ClientId);
        writer.WriteNumber("iat"u8, claims.IssuedAt.ToUnixTimeSeconds());
        writer.WriteNumber("exp"u8, claims.ExpiresAt.ToUnixTimeSeconds());
        writer.WriteString("jti"u8, claims.TokenId);
        if (claims.Further is { } further)
        {
            foreach (var claim in further.EnumerateObject())
                claim.WriteTo(writer);
        }

        writer.WriteEndObject();
    }
}
