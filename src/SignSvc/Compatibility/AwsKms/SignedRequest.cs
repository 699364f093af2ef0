using System.Collections.Frozen;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace SignSvc.Compatibility.AwsKms;

/// <summary>
/// A request's Signature Version 4, as "Create a signed AWS API request" of the IAM user guide has it: in the header
/// Authorization, with an X-Amz-Date, over POST / without a query. Presigned URLs and session tokens are refused.
/// Nothing in it keeps a request from being sent twice within the window: whoever needs that uses TLS.
/// </summary>
internal sealed class SignedRequest
{
    public static readonly TimeSpan Window = TimeSpan.FromMinutes(5);

    private const string Algorithm = "AWS4-HMAC-SHA256";
    private const string Terminator = "aws4_request";
    private const string DateFormat = "yyyyMMdd'T'HHmmss'Z'";
    private const int MaxHeaders = 64;
    private const int MaxRegion = 64;

    private readonly string _date;
    private readonly string _day;
    private readonly string _service;
    private readonly string[] _headers;
    private readonly byte[] _signature;

    private SignedRequest(string accessKeyId, string region, string date, string day, string service, string[] headers, byte[] signature)
    {
        AccessKeyId = accessKeyId;
        Region = region;
        _date = date;
        _day = day;
        _service = service;
        _headers = headers;
        _signature = signature;
    }

    public string AccessKeyId { get; }

    /// <summary>The client's word: lower-case letters, digits and hyphens.</summary>
    public string Region { get; }

    /// <summary>Reads what the headers say and checks all that needs neither secret nor body.</summary>
    /// <exception cref="KmsException">In AWS's words: missing, incomplete, for another service, or of another time.</exception>
    public static SignedRequest Parse(HttpRequest request, DateTimeOffset now)
    {
        var authorization = request.Headers.Authorization.ToString();
        if (authorization.Length == 0)
            throw Refused("MissingAuthenticationTokenException", "Missing Authentication Token");
        if (!authorization.StartsWith(Algorithm + " ", StringComparison.Ordinal))
            throw Incomplete($"Unsupported authorization type: SignSvc takes {Algorithm} in the Authorization header.");
        if (request.Headers.ContainsKey("X-Amz-Security-Token"))
            throw Refused("UnrecognizedClientException", "The security token included in the request is invalid: SignSvc gives no session tokens, only access keys.");
        if (request.QueryString.HasValue)
            throw Incomplete("Sign a POST to / without a query string.");

        var parts = Parts(authorization[Algorithm.Length..]);
        if (!parts.TryGetValue("Credential", out var credential) || !parts.TryGetValue("SignedHeaders", out var headers)
            || !parts.TryGetValue("Signature", out var signature))
        {
            throw Incomplete("Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters.");
        }

        if (credential.Split('/') is not [var accessKeyId, var day, var region, var service, Terminator])
            throw Incomplete("Credential must have the form ACCESS_KEY_ID/DATE/REGION/kms/aws4_request.");
        if (!string.Equals(service, "kms", StringComparison.Ordinal))
            throw Mismatch("Credential should be scoped to correct service: 'kms'.");
        if (region.Length is 0 or > MaxRegion || !region.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-'))
            throw Mismatch("Credential should be scoped to a valid region.");
        var date = CheckDate(request, day, now);
        return new SignedRequest(
            accessKeyId, region, date, day, service, CheckHeaders(request, headers),
            signature.Length == 64 && TryFromHex(signature, out var bytes) ? bytes : throw Incomplete("Signature must be 64 hex digits."));
    }

    public static KmsException DoesNotMatch() => Mismatch(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.");

    /// <summary>Compares in constant time.</summary>
    public bool IsSignedWith(ReadOnlySpan<byte> secret, HttpRequest request, ReadOnlySpan<byte> body)
    {
        var payload = Convert.ToHexStringLower(SHA256.HashData(body));
        // Where the client says a hash of its own, it has to be this body's.
        if (request.Headers.TryGetValue("X-Amz-Content-Sha256", out var said) && !string.Equals(said.ToString(), payload, StringComparison.Ordinal))
            return false;
        var canonical = new StringBuilder("POST\n/\n\n");
        foreach (var name in _headers)
            canonical.Append(name).Append(':').Append(Canonical(request, name)).Append('\n');
        canonical.Append('\n').AppendJoin(';', _headers).Append('\n').Append(payload);

        var scope = $"{_day}/{Region}/{_service}/{Terminator}";
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(canonical.ToString())));
        var expected = Hmac(SigningKey(secret), $"{Algorithm}\n{_date}\n{scope}\n{hash}");
        return CryptographicOperations.FixedTimeEquals(expected, _signature);
    }

    private byte[] SigningKey(ReadOnlySpan<byte> secret)
    {
        Span<byte> first = stackalloc byte[4 + secret.Length];
        "AWS4"u8.CopyTo(first);
        secret.CopyTo(first[4..]);
        var key = Hmac(first, _day);
        CryptographicOperations.ZeroMemory(first);
        foreach (var part in (ReadOnlySpan<string>)[Region, _service, Terminator])
            key = Hmac(key, part);
        return key;
    }

    private static byte[] Hmac(ReadOnlySpan<byte> key, string text) => HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text));

    private static string CheckDate(HttpRequest request, string day, DateTimeOffset now)
    {
        var text = request.Headers["X-Amz-Date"].ToString();
        if (!DateTimeOffset.TryParseExact(text, DateFormat, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var date))
            throw Incomplete("Authorization header requires existence of an 'X-Amz-Date' header of the form 20260102T030405Z.");
        if (!string.Equals(day, text[..8], StringComparison.Ordinal))
            throw Mismatch("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.");
        if (date < now - Window)
            throw Mismatch($"Signature expired: {text} is now earlier than {Iso(now - Window)} ({Iso(now)} - 5 min.)");
        if (date > now + Window)
            throw Mismatch($"Signature not yet current: {text} is still later than {Iso(now + Window)} ({Iso(now)} + 5 min.)");
        return text;
    }

    /// <summary>What decides over the request has to be signed: its host, and every x-amz- header, the operation among them.</summary>
    private static string[] CheckHeaders(HttpRequest request, string list)
    {
        var names = list.Split(';');
        var isCanonical = names.Length <= MaxHeaders && names.All(n => n.Length > 0 && !n.Any(char.IsAsciiLetterUpper))
            && names.Zip(names.Skip(1)).All(p => string.CompareOrdinal(p.First, p.Second) < 0);
        if (!isCanonical)
            throw Incomplete("SignedHeaders must be lower-case names in order, without repetition.");
        var signed = names.ToFrozenSet(StringComparer.OrdinalIgnoreCase);
        if (!signed.Contains("host"))
            throw Mismatch("'Host' must be a 'SignedHeader' in the AWS Authorization.");
        if (request.Headers.Keys.FirstOrDefault(h => h.StartsWith("x-amz-", StringComparison.OrdinalIgnoreCase) && !signed.Contains(h)) is { } unsigned)
            throw Mismatch($"'{unsigned.ToLowerInvariant()}' must be a 'SignedHeader' in the AWS Authorization.");
        return names;
    }

    /// <summary>Values joined by commas, without spaces around, and with one space where there are several.</summary>
    private static string Canonical(HttpRequest request, string name) =>
        string.Join(',', request.Headers[name].Select(v => string.Join(' ', (v ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries))));

    private static Dictionary<string, string> Parts(string text)
    {
        var parts = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries))
        {
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            if (equals < 0 || !parts.TryAdd(part[..equals], part[(equals + 1)..]))
                throw Incomplete("Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters.");
        }

        return parts;
    }

    private static bool TryFromHex(string text, out byte[] bytes)
    {
        bytes = new byte[text.Length / 2];
        return Convert.FromHexString(text, bytes, out _, out _) == System.Buffers.OperationStatus.Done;
    }

    private static string Iso(DateTimeOffset time) => time.UtcDateTime.ToString(DateFormat, CultureInfo.InvariantCulture);

    private static KmsException Incomplete(string message) => Refused("IncompleteSignatureException", message);

    private static KmsException Mismatch(string message) => Refused("InvalidSignatureException", message);

    private static KmsException Refused(string type, string message) => new(type, message) { IsOfStranger = true };
}
