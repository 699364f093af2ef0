using System.Globalization;
using System.Security.Cryptography;

namespace SignSvc.Signing.Access;

/// <summary>
/// An access key of a service credential, in AWS's form, for clients that sign their requests (Signature Version 4)
/// instead of sending a bearer token. Whoever verifies an HMAC needs the secret itself, so this one is kept wrapped by
/// the root key, where a bearer token is kept as a hash.
/// The id is <c>SSV</c> and 17 digits of base32: the credential's id (64 bits) and 21 random bits, so that a request
/// leads to its credential without an index.
/// </summary>
public sealed record AccessKey
{
    private const string Prefix = "SSV";
    private const string Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    private const int IdLength = 20;
    private const int RandomBits = 21;

    public required string Id { get; init; }

    /// <summary>The 40 characters of the secret, wrapped and bound to the id.</summary>
    public required byte[] WrappedSecret { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <param name="credentialId">16 hex digits.</param>
    public static string NewId(string credentialId)
    {
        var number = ((UInt128)ulong.Parse(credentialId, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) << RandomBits)
            | (uint)RandomNumberGenerator.GetInt32(1 << RandomBits);
        return string.Create(IdLength, number, static (id, rest) =>
        {
            Prefix.CopyTo(id);
            for (var i = IdLength - 1; i >= Prefix.Length; i--, rest >>= 5)
                id[i] = Digits[(int)(rest & 31)];
        });
    }

    /// <returns>The id of the credential that such an access key belongs to; null where it is none of ours.</returns>
    public static string? CredentialIdOf(string id)
    {
        if (id.Length != IdLength || !id.StartsWith(Prefix, StringComparison.Ordinal))
            return null;
        UInt128 number = 0;
        foreach (var c in id.AsSpan(Prefix.Length))
        {
            var digit = Digits.IndexOf(c, StringComparison.Ordinal);
            if (digit < 0)
                return null;
            number = (number << 5) | (uint)digit;
        }

        return ((ulong)(number >> RandomBits)).ToString("x16", CultureInfo.InvariantCulture);
    }
}
