using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace SignSvc.Emulation.Wire;

/// <summary>
/// Signature Version 4 of a request: form, date window and access key are always checked; the signature where the
/// access key has a secret (<see cref="AccessKey.Secret"/>).
/// </summary>
internal sealed partial class SigV4(ImmutableArray<AccessKey> accessKeys, Sts sts, TimeProvider clock)
{
    /// <summary>AWS refuses requests whose date is further from its own clock than this.</summary>
    private static readonly TimeSpan Window = TimeSpan.FromMinutes(5);

    public Caller Authenticate(HttpRequest request, ReadOnlySpan<byte> body)
    {
        var header = request.Headers.Authorization.ToString();
        if (header.Length == 0)
            throw new KmsException("MissingAuthenticationTokenException", "Missing Authentication Token");
        var match = Form().Match(header);
        if (!match.Success)
            throw new KmsException(
                "IncompleteSignatureException",
                "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters.");

        var (keyId, day, region, service) = (
            match.Groups["key"].Value,
            match.Groups["day"].Value,
            match.Groups["region"].Value,
            match.Groups["service"].Value);
        var accessKey = Find(keyId);
        if (service is not ("kms" or "sts"))
            throw new KmsException(
                "InvalidSignatureException",
                $"Credential should be scoped to correct service: 'kms', not '{service}'.");
        CheckDate(request, day);
        if (accessKey.Secret is { } secret)
        {
            var scope = $"{day}/{region}/{service}/aws4_request";
            CheckSignature(
                request,
                body,
                secret,
                scope,
                match.Groups["headers"].Value,
                match.Groups["signature"].Value);
        }

        return new Caller(keyId, accessKey.AccountId, region, accessKey.PrincipalArn);
    }

    private AccessKey Find(string keyId)
    {
        if (sts.FindSession(keyId) is { } session)
            return session;
        if (accessKeys.IsEmpty)
            return AccessKey.Implied(keyId);
        return accessKeys.FirstOrDefault(k => string.Equals(k.Id, keyId, StringComparison.Ordinal))
            ?? throw new KmsException(
                "UnrecognizedClientException",
                "The security token included in the request is invalid.");
    }

    private void CheckDate(HttpRequest request, string day)
    {
        const string Format = "yyyyMMdd'T'HHmmss'Z'";
        var text = request.Headers["X-Amz-Date"].ToString();
        if (!DateTimeOffset.TryParseExact(
                text,
                Format,
                CultureInfo.InvariantCulture,
                DateTimeStyles.AssumeUniversal,
                out var date))
            throw new KmsException(
                "IncompleteSignatureException",
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
        if (!text.StartsWith(day, StringComparison.Ordinal))
            throw new KmsException(
                "InvalidSignatureException",
                $"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{day}' != '{text[..8]}'.");
        var now = clock.GetUtcNow();
        if ((date - now).Duration() > Window)
        {
            var (what, limit, word) =
                date < now ? ("expired", now - Window, "earlier") : ("not yet current", now + Window, "later");
            throw new KmsException(
                "InvalidSignatureException",
                $"Signature {what}: {text} is now {word} than {limit.ToString(Format, CultureInfo.InvariantCulture)} ({now.ToString(Format, CultureInfo.InvariantCulture)} {(date < now ? '-' : '+')} 5 min.)");
        }
    }

    /// <summary>The four steps of "Create a signed AWS API request" for a POST without a query.</summary>
    private static void CheckSignature(
        HttpRequest request,
        ReadOnlySpan<byte> body,
        string secret,
        string scope,
        string signedHeaders,
        string signature)
    {
        var canonical = new StringBuilder()
            .Append(request.Method)
            .Append('\n')
            .Append(request.Path.Value)
            .Append('\n')
            .Append('\n');
        foreach (var name in signedHeaders.Split(';'))
            canonical.Append(name).Append(':').Append(Folded(request.Headers[name].ToString())).Append('\n');
        canonical.Append('\n').Append(signedHeaders).Append('\n').Append(Hex(SHA256.HashData(body)));

        var toSign =
            $"AWS4-HMAC-SHA256\n{request.Headers["X-Amz-Date"]}\n{scope}\n{Hex(SHA256.HashData(Encoding.UTF8.GetBytes(canonical.ToString())))}";
        var key = Encoding.UTF8.GetBytes("AWS4" + secret);
        foreach (var part in scope.Split('/'))
            key = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(part));
        var expected = Hex(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(toSign)));
        if (!CryptographicOperations.FixedTimeEquals(
                Encoding.ASCII.GetBytes(expected),
                Encoding.ASCII.GetBytes(signature)))
            throw new KmsException(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.");
    }

    private static string Folded(string value) => Spaces().Replace(value.Trim(), " ");

    private static string Hex(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(bytes);

    [GeneratedRegex(
        "^AWS4-HMAC-SHA256 Credential=(?<key>[A-Za-z0-9]{1,128})/(?<day>[0-9]{8})/(?<region>[a-z0-9-]{1,32})/(?<service>[a-z0-9]+)/aws4_request, ?SignedHeaders=(?<headers>[a-z0-9;-]+), ?Signature=(?<signature>[0-9a-f]{64})$",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex Form();

    [GeneratedRegex(" {2,}", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Spaces();
}
