using System.Globalization;
using System.Security.Cryptography;
using SignSvc.Signing.Keys;

namespace SignSvc.Compatibility.Transit;

/// <summary>What a Vault client says of the algorithm. What it leaves out, the key decides.</summary>
/// <param name="Hash">Null: the key's own, or SHA-256.</param>
/// <param name="Pss">Null where it is not said: PSS if the key has it, as Vault does; else PKCS#1 v1.5.</param>
/// <param name="IsJws">Signatures are base64url of r‖s instead of base64 of DER.</param>
internal sealed record TransitAlgorithms(HashAlgorithmName? Hash, bool? Pss, bool IsJws, bool IsPrehashed)
{
    public static TransitAlgorithms Parse(TransitCall call)
    {
        var body = call.Body;
        var hash = HashOf(call.Route("hash") ?? body.Text("hash_algorithm") ?? body.Text("algorithm"));
        if (body.Text("context") is { Length: > 0 })
            throw ClientJson.Invalid("SignSvc has no derived keys: leave context out.");
        CheckSalt(body.TryNumber("salt_length")?.ToString(CultureInfo.InvariantCulture) ?? body.Text("salt_length"), hash ?? HashAlgorithmName.SHA256);
        return new TransitAlgorithms(
            hash,
            body.Text("signature_algorithm") switch
            {
                null or "" => null,
                "pss" => true,
                "pkcs1v15" => false,
                _ => throw ClientJson.Invalid("signature_algorithm is pss or pkcs1v15."),
            },
            body.Text("marshaling_algorithm") switch
            {
                null or "" or "asn1" => false,
                "jws" => true,
                _ => throw ClientJson.Invalid("marshaling_algorithm is asn1 or jws."),
            },
            body.Flag("prehashed") ?? false);
    }

    /// <param name="key">Null where there is none: what the path then says does not depend on it.</param>
    /// <returns>Null: the key's first.</returns>
    public SigningAlgorithm? ForSigning(Key? key) => ForVerifying(key)[0];

    /// <summary>Clients do not say the padding on verifying: either counts, if the key signs with it.</summary>
    public IReadOnlyList<SigningAlgorithm?> ForVerifying(Key? key)
    {
        if (key is null)
            return [null];
        var hash = Hash ?? (key.Spec.Family == KeyFamily.Ecc ? key.Algorithms[0].Hash : HashAlgorithmName.SHA256);
        var fitting = SigningAlgorithm.All.Where(a => a.Family == key.Spec.Family && a.Hash == hash).ToArray();
        if (key.Spec.Family == KeyFamily.Ecc)
            return fitting;
        var padded = fitting.Where(a => Pss is null || (a.RsaPadding == RSASignaturePadding.Pss) == Pss)
            .OrderByDescending(a => a.RsaPadding == RSASignaturePadding.Pss).ToArray();
        // Where the key has none of them, the path says which it has.
        return padded.Where(key.Algorithms.Contains).ToArray() is { Length: > 0 } own ? own : [padded[0]];
    }

    private static HashAlgorithmName? HashOf(string? name) => name switch
    {
        null or "" => null,
        "sha2-256" => HashAlgorithmName.SHA256,
        "sha2-384" => HashAlgorithmName.SHA384,
        "sha2-512" => HashAlgorithmName.SHA512,
        _ => throw ClientJson.Invalid("The hash algorithm is sha2-256, sha2-384 or sha2-512."),
    };

    /// <summary>Signatures here have salts as long as the hash (RFC 7518 section 3.5), which every verifier finds by itself.</summary>
    private static void CheckSalt(string? salt, HashAlgorithmName hash)
    {
        var length = hash == HashAlgorithmName.SHA256 ? "32" : hash == HashAlgorithmName.SHA384 ? "48" : "64";
        if (salt is not (null or "" or "auto" or "hash") && !string.Equals(salt, length, StringComparison.Ordinal))
            throw ClientJson.Invalid("salt_length is auto, hash, or the hash's length.");
    }
}
