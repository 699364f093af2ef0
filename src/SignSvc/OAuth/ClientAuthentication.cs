using System.Collections.Immutable;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using SignSvc.Access;
using SignSvc.Access.Certificates;
using SignSvc.Signing.Access;
using SignSvc.Signing.Storage;

namespace SignSvc.OAuth;

/// <summary>An OAuth 2 client that has proved who it is.</summary>
/// <param name="Caller">A service credential, or the holder of a client certificate: a caller like any other.</param>
/// <param name="Method">As metadata names it: <c>client_secret_basic</c>.</param>
internal sealed record OAuthClient(Caller Caller, string Method);

/// <summary>
/// Names the client of a request by one method (RFC 6749 section 2.3): its secret in the header or in the body, an
/// assertion under one of its keys, or a client certificate. <c>client_id</c> is a service credential's name or id; its
/// secret is the whole bearer token, or the part of it behind the id. A method that the client does not use
/// (<see cref="Credential.ClientMethods"/>) is refused like a wrong secret.
/// </summary>
internal sealed class ClientAuthentication(
    LiveSnapshot live, Credentials credentials, ClientAssertions assertions, CallerRecognition recognition, ClientCertificates certificates,
    StrangerLog strangers, TimeProvider time)
{
    private const int MaxClientIdLength = 255;

    /// <summary>As metadata names them: those that this service can serve.</summary>
    public ImmutableArray<string> Methods { get; } =
        [.. ClientMethod.OfCredential, .. certificates.IsOn ? new[] { ClientMethod.Certificate } : []];

    /// <param name="issuer">The URL that the client's assertion must be made for.</param>
    /// <exception cref="OAuthException"><c>invalid_request</c>: two methods at once. <c>invalid_client</c>.</exception>
    public async Task<OAuthClient> AuthenticateAsync(HttpContext http, OAuthForm form, string issuer, CancellationToken cancellationToken)
    {
        try
        {
            if (await OfCertificateAsync(http, form) is { } client)
                return client;
            var (credential, method) = await RecogniseAsync(http, form, issuer, cancellationToken);
            if (!credential.MayProveItselfBy(method))
                throw OAuthException.InvalidClient();
            credentials.NoteUse(credential);
            return new OAuthClient(CallerRecognition.OfCredential(http, credential).Caller, method);
        }
        catch (OAuthException e)
        {
            await strangers.RecordAsync(e.Fault, "its client authentication failed", http.Connection.RemoteIpAddress?.ToString(), cancellationToken);
            throw;
        }
    }

    /// <summary>RFC 8705 section 2: the connection's certificate, where the request itself shows nothing else.</summary>
    /// <returns>Null where it is not what the client means.</returns>
    private async ValueTask<OAuthClient?> OfCertificateAsync(HttpContext http, OAuthForm form)
    {
        if (http.Connection.ClientCertificate is null || http.Request.Headers.Authorization.Count > 0 || form["client_secret"] is not null
            || form["client_assertion"] is not null || form["client_assertion_type"] is not null)
        {
            return null;
        }

        var caller = (await recognition.RecogniseAsync(http)).Identity?.Caller ?? throw OAuthException.InvalidClient();
        return form["client_id"] is not { } id || string.Equals(id, caller.Principal, StringComparison.Ordinal) || string.Equals(id, caller.Name, StringComparison.Ordinal)
            ? new OAuthClient(caller, ClientMethod.Certificate)
            : throw OAuthException.InvalidClient();
    }

    private async Task<(Credential Credential, string Method)> RecogniseAsync(
        HttpContext http, OAuthForm form, string issuer, CancellationToken cancellationToken)
    {
        var from = http.Connection.RemoteIpAddress;
        var header = http.Request.Headers.Authorization;
        var hasAssertion = form["client_assertion"] is not null || form["client_assertion_type"] is not null;
        if (Convert.ToInt32(header.Count > 0) + Convert.ToInt32(form["client_secret"] is not null) + Convert.ToInt32(hasAssertion) > 1 || header.Count > 1)
            throw OAuthException.InvalidRequest("A client uses one method of authentication in a request.");
        if (header.Count == 1)
        {
            var (id, secret) = ReadBasic(header[0]) ?? throw OAuthException.InvalidClient();
            if (form["client_id"] is { } other && !string.Equals(other, id, StringComparison.Ordinal))
                throw OAuthException.InvalidRequest("client_id and the Authorization header name two clients.");
            return (OfSecret(id, secret, from), ClientMethod.Basic);
        }

        if (form["client_secret"] is { } posted)
            return (OfSecret(form.Required("client_id"), posted, from), ClientMethod.Post);
        if (hasAssertion)
            return (await assertions.RecogniseAsync(form, issuer, from, cancellationToken), ClientMethod.Assertion);
        throw OAuthException.InvalidClient();
    }

    private Credential OfSecret(string clientId, string secret, IPAddress? from)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        var credential = Credential.TryReadSecret(secret, hash) && clientId.Length <= MaxClientIdLength ? live.Current.Credential(clientId) : null;
        return credential is not null && credential.Accepts(hash, time.GetUtcNow(), from) ? credential : throw OAuthException.InvalidClient();
    }

    /// <summary>RFC 6749 section 2.3.1: id and secret are form-encoded before they are joined; RFC 7617 for the rest.</summary>
    private static (string Id, string Secret)? ReadBasic(string? header)
    {
        const string scheme = "Basic ";
        if (header?.StartsWith(scheme, StringComparison.OrdinalIgnoreCase) != true || header.Length > 2048)
            return null;
        var bytes = new byte[header.Length];
        if (!Convert.TryFromBase64String(header[scheme.Length..].Trim(), bytes, out var length))
            return null;
        var text = Encoding.UTF8.GetString(bytes, 0, length);
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        return colon < 1 ? null : (Decode(text[..colon]), Decode(text[(colon + 1)..]));
    }

    private static string Decode(string text) => Uri.UnescapeDataString(text.Replace('+', ' '));
}
