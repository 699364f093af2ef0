using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Policies;

namespace SignSvc.Signing.Tests.Access;

/// <summary>A request as plain texts: what the policies' words are about.</summary>
internal sealed record PlainRequest(
    string Principal, IReadOnlyList<Role> Roles, string Action, IReadOnlyList<string> ResourceNames, IReadOnlyDictionary<string, List<string>> Facts);

/// <summary>What the documentation of policies says, word for word and slowly: texts, regular expressions, no sharing with the engine.</summary>
internal static class ReferenceEvaluator
{
    public static bool Allows(PlainRequest request, IEnumerable<PolicyDocument> service, PolicyDocument? ofKey)
    {
        var statements = service.SelectMany(d => d.Statements).Concat(ofKey?.Statements ?? []).Where(s => Applies(s, request)).ToArray();
        if (statements.Any(s => s.Effect == PolicyEffect.Deny))
            return false;
        return request.Roles.Any(r => r.AsPolicy().Statements.Any(s => Applies(s, request)))
            || statements.Any(s => s.Effect == PolicyEffect.Allow);
    }

    private static bool Applies(PolicyStatement s, PlainRequest request) =>
        s.Principals.Any(p => Like(p, request.Principal))
        && s.Actions.Any(a => Like(a, request.Action))
        && (s.Resources.IsEmpty || s.Resources.Any(r => request.ResourceNames.Any(n => Like(r, n))))
        && s.Conditions.All(c => Holds(c, request.Facts.GetValueOrDefault(c.Fact) ?? [], s.Effect));

    private static bool Holds(PolicyCondition c, List<string> actual, PolicyEffect effect)
    {
        var name = c.Operator;
        var any = name.StartsWith("forAnyValue:", StringComparison.Ordinal);
        var all = name.StartsWith("forAllValues:", StringComparison.Ordinal);
        name = name[(name.IndexOf(':', StringComparison.Ordinal) + 1)..];
        if (name is "exists" or "null")
            return string.Equals(c.Values[0], "true", StringComparison.Ordinal) == (name is "exists" ? actual.Count > 0 : actual.Count == 0);
        var ifExists = name.EndsWith("IfExists", StringComparison.Ordinal);
        name = ifExists ? name[..^8] : name;
        var negated = name.Contains("Not", StringComparison.Ordinal) || name.StartsWith("not", StringComparison.Ordinal);
        if (actual.Count == 0)
            return ifExists || (!any && (all || negated));
        // The one time that is no text: numbers see its seconds since 1970.
        if (c.Fact is "request.time" && name.StartsWith("numeric", StringComparison.Ordinal))
            actual = [Time(actual[0])!.Value.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture)];
        var fits = actual.Select(value =>
        {
            var results = c.Values.Select(wanted => Compare(name, value, wanted)).ToArray();
            return results.Contains(null) ? effect == PolicyEffect.Deny : results.Contains(true) != negated;
        }).ToArray();
        if (any)
            return fits.Contains(true);
        return all || effect == PolicyEffect.Allow ? !fits.Contains(false) : fits.Contains(true);
    }

    /// <returns>Null: the value is not of the operator's kind.</returns>
    private static bool? Compare(string name, string actual, string wanted)
    {
        var ignoreCase = name.EndsWith("IgnoreCase", StringComparison.Ordinal);
        if (name.StartsWith("string", StringComparison.Ordinal))
        {
            return name.Contains("Like", StringComparison.Ordinal)
                ? Like(wanted, actual, ignoreCase)
                : string.Equals(actual, wanted, ignoreCase ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal);
        }

        if (name is "bool")
            return bool.TryParse(actual, out var flag) ? flag == bool.Parse(wanted) : null;
        if (name.EndsWith("pAddress", StringComparison.Ordinal))
        {
            // One number alone is an address to .NET, and to nobody else.
            return actual.AsSpan().ContainsAny('.', ':') && IPAddress.TryParse(actual, out var address) ? Contains(wanted, address) : null;
        }

        if (name.StartsWith("numeric", StringComparison.Ordinal))
        {
            return double.TryParse(actual, NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
                ? Order(name, number.CompareTo(double.Parse(wanted, CultureInfo.InvariantCulture)))
                : null;
        }

        return Time(actual) is { } time ? Order(name, time.CompareTo(Time(wanted)!.Value)) : null;
    }

    private static bool Order(string name, int order)
    {
        if (name.EndsWith("LessThan", StringComparison.Ordinal))
            return order < 0;
        if (name.EndsWith("LessThanEquals", StringComparison.Ordinal))
            return order <= 0;
        if (name.EndsWith("GreaterThan", StringComparison.Ordinal))
            return order > 0;
        return name.EndsWith("GreaterThanEquals", StringComparison.Ordinal) ? order >= 0 : order == 0;
    }

    private static DateTimeOffset? Time(string text)
    {
        if (long.TryParse(text, CultureInfo.InvariantCulture, out var seconds))
            return DateTimeOffset.FromUnixTimeSeconds(seconds);
        return text.Length >= 10 && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? time : null;
    }

    private static bool Contains(string network, IPAddress address)
    {
        var parts = network.Split('/');
        var outer = Bits(IPAddress.Parse(parts[0]));
        var inner = Bits(address);
        var length = parts.Length == 1 ? 128 : int.Parse(parts[1], CultureInfo.InvariantCulture) + (network.Contains(':', StringComparison.Ordinal) ? 0 : 96);
        return string.Equals(outer[..length], inner[..length], StringComparison.Ordinal);
    }

    private static string Bits(IPAddress address) =>
        string.Concat(address.MapToIPv6().GetAddressBytes().Select(b => Convert.ToString(b, 2).PadLeft(8, '0')));

    private static bool Like(string pattern, string text, bool ignoreCase = false) => Regex.IsMatch(
        text, $"\\A{Regex.Escape(pattern).Replace("\\*", ".*", StringComparison.Ordinal).Replace("\\?", ".", StringComparison.Ordinal)}\\z",
        RegexOptions.Singleline | RegexOptions.CultureInvariant | (ignoreCase ? RegexOptions.IgnoreCase : RegexOptions.None), TimeSpan.FromSeconds(5));
}
