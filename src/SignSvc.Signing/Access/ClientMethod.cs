using System.Collections.Immutable;
using System.Text.Json;

namespace SignSvc.Signing.Access;

/// <summary>How an OAuth client proves who it is, as RFC 7591 section 2 names it (<c>token_endpoint_auth_method</c>).</summary>
public static class ClientMethod
{
    public const string Basic = "client_secret_basic";
    public const string Post = "client_secret_post";
    public const string Assertion = "private_key_jwt";

    /// <summary>Of holders of client certificates, who are clients of their own: no credential has it.</summary>
    public const string Certificate = "tls_client_auth";

    /// <summary>The member of a JWK set under which a credential's methods are given.</summary>
    public const string Member = "tokenEndpointAuthMethods";

    private static readonly ImmutableArray<string> OfSecret = [Basic, Post];

    /// <summary>Of a credential: those it can be restricted to.</summary>
    public static ImmutableArray<string> OfCredential { get; } = [Basic, Post, Assertion];

    /// <summary>Of a credential that was given none: all that it can prove itself by.</summary>
    public static ImmutableArray<string> Usual(ImmutableArray<ClientKey> keys) => keys.IsEmpty ? OfSecret : OfCredential;

    /// <summary>Reads them from beside the keys of a JWK set.</summary>
    /// <returns>Null where they are not given.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: none, an unknown one, or <see cref="Assertion"/> without keys.</exception>
    public static ImmutableArray<string>? Parse(JsonElement set, ImmutableArray<ClientKey> keys)
    {
        if (!set.TryGetProperty(Member, out var member) || member.ValueKind == JsonValueKind.Null)
            return null;
        if (member.ValueKind != JsonValueKind.Array || member.GetArrayLength() is 0 || member.GetArrayLength() > OfCredential.Length
            || !member.EnumerateArray().All(m => m.ValueKind == JsonValueKind.String && OfCredential.Contains(m.GetString()!, StringComparer.Ordinal)))
        {
            throw Invalid($"{Member} are one or more of {string.Join(", ", OfCredential)}.");
        }

        var methods = member.EnumerateArray().Select(m => m.GetString()!).Distinct(StringComparer.Ordinal).ToImmutableArray();
        return methods.Contains(Assertion, StringComparer.Ordinal) && keys.IsEmpty
            ? throw Invalid($"{Assertion} needs a key in keys.")
            : methods;
    }

    private static SigningException Invalid(string message) => new(SigningFault.InvalidRequest, message);
}
