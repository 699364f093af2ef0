using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Backends.Pkcs11.Keys;
using SignSvc.Backends.Pkcs11.Tokens;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Pkcs11;

/// <summary>A private key on a token, as an operator who wants to adopt it needs to see it.</summary>
/// <param name="Reference">What <c>AdoptAsync</c> takes; null where the key has neither CKA_ID nor CKA_LABEL.</param>
/// <param name="PublicKey">Null where the key is of no known spec, or its public half is not on the token.</param>
public sealed record Pkcs11Key(
    string Token, string? Reference, string? Label, PublicKey? PublicKey, bool CanSign, Protection Protection)
{
    internal static IReadOnlyList<Pkcs11Key> List(TokenSession session)
    {
        var cryptoki = session.Cryptoki;
        using var template = new Template().With(CKA_CLASS, CKO_PRIVATE_KEY);
        var keys = new List<Pkcs11Key>();
        foreach (var found in cryptoki.FindObjects(template))
        {
            var id = cryptoki.GetAttribute(found, CKA_ID);
            var label = cryptoki.GetAttribute(found, CKA_LABEL) is { Length: > 0 } text ? System.Text.Encoding.UTF8.GetString(text) : null;
            var reference = id is { Length: > 0 } ? KeyReference.Id(id) : label is not null ? KeyReference.Label(label) : null;
            keys.Add(new Pkcs11Key(
                session.Connection.Info.label.ToString(), reference?.ToString(), label, TokenPublicKey.ReadFor(session, found),
                cryptoki.GetBoolean(found, CKA_SIGN) == true, TokenKeys.ProtectionOf(session, found)));
        }

        return keys;
    }
}
