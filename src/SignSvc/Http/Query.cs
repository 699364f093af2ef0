using Microsoft.AspNetCore.Http.Metadata;
using SignSvc.Compatibility.Transit;
using SignSvc.Signing;

namespace SignSvc.Http;

/// <summary>Query parameters, read strictly: what cannot be meant, a name or a value, is refused, not ignored.</summary>
internal static class Query
{
    /// <summary>So much of a name is said again.</summary>
    private const int LongestName = 100;

    /// <summary>For everything under <c>/v1/</c> but Vault's API there, which takes whatever Vault's clients send.</summary>
    public static void UseStrictQueries(this WebApplication app) => app.Use(next => http =>
    {
        if (http.Request.QueryString.HasValue && http.GetEndpoint() is RouteEndpoint endpoint && IsStrict(endpoint))
            RequireKnown(http.Request.Query, NamesOf(endpoint));
        return next(http);
    });

    public static T? Enum<T>(string name, string? value)
        where T : struct, Enum
    {
        if (value is null)
            return null;
        foreach (var candidate in System.Enum.GetValues<T>())
        {
            if (string.Equals(candidate.ToString(), value, StringComparison.OrdinalIgnoreCase))
                return candidate;
        }

        throw new SigningException(SigningFault.InvalidRequest, $"{name} is one of {WireEnums.ChoicesOf<T>()}.");
    }

    public static int Limit(int limit, int max) =>
        limit >= 1 && limit <= max
            ? limit
            : throw new SigningException(SigningFault.InvalidRequest, $"limit is from 1 to {max}.");

    private static bool IsStrict(RouteEndpoint endpoint) =>
        endpoint.RoutePattern.RawText?.StartsWith("/v1/", StringComparison.Ordinal) == true
        && endpoint.Metadata.GetMetadata<TransitMetadata>() is null;

    /// <summary>As binding reads them: texts and what is parsed from a text, unless they stand in the path.</summary>
    private static string[] NamesOf(RouteEndpoint endpoint) =>
    [
        .. endpoint.Metadata.GetOrderedMetadata<IParameterBindingMetadata>()
            .Where(p => (p.HasTryParse || p.ParameterInfo.ParameterType == typeof(string)) && endpoint.RoutePattern.GetParameter(p.Name) is null)
            .Select(p => p.Name),
    ];

    private static void RequireKnown(IQueryCollection query, string[] known)
    {
        foreach (var (name, values) in query)
        {
            var shown = name[..Math.Min(name.Length, LongestName)];
            // In any case, as binding reads them.
            if (Array.Find(known, k => string.Equals(k, name, StringComparison.OrdinalIgnoreCase)) is not { } meant)
                throw new SigningException(SigningFault.InvalidRequest, $"There is no query parameter '{shown}' here. {Allowed(known)}");
            if (values.Count > 1)
                throw new SigningException(SigningFault.InvalidRequest, $"The query parameter '{meant}' is given more than once. {Allowed(known)}");
        }
    }

    private static string Allowed(string[] known) =>
        known is [] ? "None is allowed." : $"Allowed, each once: {string.Join(", ", known)}.";
}
