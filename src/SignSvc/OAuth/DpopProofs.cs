using SignSvc.Signing;
using SignSvc.Signing.Access;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.OAuth;

/// <summary>
/// DPoP proofs at the token endpoint (RFC 9449 section 4.3): one header, the type <c>dpop+jwt</c>, a public key of its
/// own that signed it, this method and address, made just now, used once. Nonces are not asked for.
/// </summary>
internal sealed class DpopProofs(UsedOnce used, TimeProvider time)
{
    public const string Header = "DPoP";

    private const string Scope = "dpop";

    /// <summary>How old a proof may be, and how far ahead of our clock.</summary>
    private static readonly TimeSpan MaxAge = TimeSpan.FromSeconds(60);

    /// <returns>The RFC 7638 thumbprint of the proof's key; null where there is no proof.</returns>
    /// <exception cref="OAuthException"><c>invalid_dpop_proof</c>.</exception>
    public async Task<string?> CheckAsync(HttpContext http, string address, CancellationToken cancellationToken)
    {
        var headers = http.Request.Headers[Header];
        if (headers.Count == 0)
            return null;
        var proof = headers.Count == 1 ? CompactJws.TryParseJwt(headers[0]) : null;
        if (proof is null || proof.Type is not "dpop+jwt")
            throw OAuthException.InvalidProof("Send one DPoP proof, a JWT of the type dpop+jwt.");
        var key = ReadKey(proof);
        if (!SigningAlgorithm.TryParse(proof.Algorithm, out var algorithm) || !string.Equals(algorithm.Name, proof.Algorithm, StringComparison.Ordinal)
            || !proof.IsSignedBy(key, algorithm))
        {
            throw OAuthException.InvalidProof("The proof is not signed by its key with an algorithm that is taken here.");
        }

        if (!string.Equals(proof.Text("htm"), http.Request.Method, StringComparison.Ordinal) || !IsAddress(proof.Text("htu"), address))
            throw OAuthException.InvalidProof($"The proof is of another method or address: htm is {http.Request.Method}, htu is {address}.");
        var now = time.GetUtcNow();
        if (proof.Time("iat") is not { } issued || (now - issued).Duration() > MaxAge)
            throw OAuthException.InvalidProof($"The proof was not made within {MaxAge.TotalSeconds} seconds of now.");
        if (proof.Text("jti") is not { Length: > 0 and <= 255 } id
            || !await used.TryUseAsync(Scope, [key.Kid, id], now + MaxAge + MaxAge, cancellationToken))
        {
            throw OAuthException.InvalidProof("The proof has no jti, or was used before.");
        }

        return key.Kid;
    }

    private static PublicKey ReadKey(CompactJws proof)
    {
        try
        {
            return proof.Header.TryGetProperty("jwk", out var jwk)
                ? ClientKey.ParsePublic(jwk)
                : throw OAuthException.InvalidProof("The proof's header has no jwk.");
        }
        catch (SigningException e) when (e.Fault == SigningFault.InvalidRequest)
        {
            throw OAuthException.InvalidProof(e.Message);
        }
    }

    /// <summary>RFC 9449 section 4.3: without query and fragment, after normalisation.</summary>
    private static bool IsAddress(string? claimed, string address) =>
        Uri.TryCreate(claimed, UriKind.Absolute, out var uri) && Uri.TryCreate(address, UriKind.Absolute, out var own)
        && string.Equals(uri.GetLeftPart(UriPartial.Path), own.GetLeftPart(UriPartial.Path), StringComparison.Ordinal);
}
