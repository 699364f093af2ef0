using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;
using SignSvc.Signing;
using SignSvc.Signing.Tokens;

namespace SignSvc.OAuth;

/// <summary>
/// A request's parameters, form-encoded (RFC 6749 section 3.2). One without a value counts as left out; one that is given
/// twice is refused, but for those that may be (RFC 8707, RFC 8693); unknown ones are ignored.
/// </summary>
internal sealed class OAuthForm
{
    private const int MaxParameters = 64;
    private const int MaxLength = 64 * 1024;

    /// <summary>The longest value is a token.</summary>
    private const int MaxValueLength = CompactJws.MaxLength;

    private static readonly HashSet<string> MayRepeat = new(StringComparer.Ordinal) { "resource", "audience" };

    private readonly IFormCollection _form;

    private OAuthForm(IFormCollection form) => _form = form;

    /// <exception cref="OAuthException"><c>invalid_request</c>; as <see cref="SigningFault.TooLarge"/> where the body is.</exception>
    public static async Task<OAuthForm> ReadAsync(HttpContext http, CancellationToken cancellationToken)
    {
        if (!IsForm(http.Request.ContentType))
            throw OAuthException.InvalidRequest("Send parameters as application/x-www-form-urlencoded, in UTF-8, in the body.");
        if (http.Request.QueryString.HasValue)
            throw OAuthException.InvalidRequest("Parameters stand in the body, not in the URL.");
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
            size.MaxRequestBodySize = MaxLength;
        var options = new FormOptions { ValueCountLimit = MaxParameters, KeyLengthLimit = 256, ValueLengthLimit = MaxValueLength };
        try
        {
            var form = await new FormFeature(http.Request, options).ReadFormAsync(cancellationToken);
            foreach (var (name, values) in form)
            {
                if (values.Count > 1 && !MayRepeat.Contains(name))
                    throw OAuthException.InvalidRequest($"The parameter {Shown(name)} is there more than once.");
                if (values.Any(v => v is null || v.Any(char.IsControl) || v.Contains('\uFFFD', StringComparison.Ordinal)))
                    throw OAuthException.InvalidRequest($"The parameter {Shown(name)} holds control characters, or is not UTF-8.");
            }

            return new OAuthForm(form);
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            throw new OAuthException("invalid_request", SigningFault.TooLarge, "The body is longer than 64 KiB.");
        }
        catch (Exception e) when (e is InvalidDataException or BadHttpRequestException or IOException)
        {
            throw OAuthException.InvalidRequest("The body is no form of these bounds: 64 parameters, 64 KiB.");
        }
    }

    /// <summary>Null where it is left out, or empty.</summary>
    public string? this[string name] => _form.TryGetValue(name, out var values) && !StringValues.IsNullOrEmpty(values) ? values.ToString() : null;

    /// <exception cref="OAuthException"><c>invalid_request</c>: left out.</exception>
    public string Required(string name) => this[name] ?? throw OAuthException.InvalidRequest($"The parameter {name} is missing.");

    public IReadOnlyList<string> All(string name) =>
        _form.TryGetValue(name, out var values) ? [.. values.Where(v => !string.IsNullOrEmpty(v)).Select(v => v!)] : [];

    /// <summary>RFC 6749 appendix B: UTF-8. Another charset would be looked up by its name, and some that have one are not to be had.</summary>
    private static bool IsForm(string? contentType) =>
        MediaTypeHeaderValue.TryParse(contentType, out var type)
        && type.MediaType.Equals("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase)
        && (!type.Charset.HasValue || HeaderUtilities.RemoveQuotes(type.Charset).Equals("utf-8", StringComparison.OrdinalIgnoreCase));

    private static string Shown(string name) => name.Length <= 32 ? name : name[..32];
}
