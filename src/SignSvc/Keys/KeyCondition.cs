using Microsoft.Net.Http.Headers;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Keys;

/// <summary><c>If-Match</c> (RFC 9110 section 13.1.1): a change of a key on condition that it stands as it was read.</summary>
internal static class KeyCondition
{
    public static string HeaderOf(Key key) => $"\"{KeyTag.Of(key)}\"";

    /// <summary>With its <c>ETag</c>.</summary>
    public static KeyAnswer AnswerOf(this HttpContext http, Key key)
    {
        http.Response.Headers.ETag = HeaderOf(key);
        return KeyAnswer.Of(key, http.RequestServices.GetRequiredService<BackendSet>());
    }

    /// <returns>The <c>etag</c> that the key must have; null: any.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public static string? OnlyIf(this HttpContext http)
    {
        var header = http.Request.Headers.IfMatch;
        if (header.Count == 0)
            return null;
        if (!EntityTagHeaderValue.TryParse(header.ToString(), out var tag) || tag.IsWeak)
            throw new SigningException(SigningFault.InvalidRequest, "If-Match takes one etag in quotes, or *.");
        return tag.Tag.Equals("*", StringComparison.Ordinal) ? null : tag.Tag.ToString().Trim('"');
    }
}
