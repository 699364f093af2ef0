using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.Json;

namespace SignSvc.Access.Issuers;

/// <summary>A token's claims as policies ask for them: flat, several values to a name; see <see cref="Signing.Access.Caller.Claims"/>.</summary>
internal static class TokenClaims
{
    /// <summary>Far more than issuers write; Entra cuts groups at 200.</summary>
    private const int MaxValues = 512;

    /// <summary>
    /// Null where it cannot be said without losing or mixing something: a claim that was dropped, or that is hidden behind
    /// another with the same flat name, could be the one that a policy denies by.
    /// </summary>
    public static FrozenDictionary<string, ImmutableArray<string>>? TryFlatten(JsonElement payload)
    {
        var values = new Dictionary<string, ImmutableArray<string>.Builder>(StringComparer.Ordinal);
        // The members that lead to a flat name, with something between them that is no dot.
        var paths = new Dictionary<string, string>(StringComparer.Ordinal);
        var left = MaxValues;
        return TryAdd(payload, prefix: "", path: "", isArray: false)
            ? values.ToFrozenDictionary(v => v.Key, v => v.Value.ToImmutable(), StringComparer.Ordinal)
            : null;

        bool TryAdd(JsonElement element, string prefix, string path, bool isArray)
        {
            foreach (var member in element.EnumerateObject())
            {
                var name = prefix.Length == 0 ? member.Name : $"{prefix}.{member.Name}";
                var place = $"{path}\0{member.Name}";
                // Only the objects of one array share their names.
                if (values.ContainsKey(name) && !(isArray && string.Equals(paths[name], place, StringComparison.Ordinal)))
                    return false;
                paths[name] = place;
                if (!TryAddValue(member.Value, name, place, isArray))
                    return false;
            }

            return true;
        }

        bool TryAddValue(JsonElement value, string name, string path, bool isArray)
        {
            switch (value.ValueKind)
            {
                case JsonValueKind.Object:
                    return TryAdd(value, name, path, isArray);
                case JsonValueKind.Array:
                    Of(name);
                    return value.EnumerateArray().All(item => TryAddValue(item, name, path, isArray: true));
                case JsonValueKind.Null:
                    return true;
                default:
                    Of(name).Add(value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText());
                    return --left >= 0;
            }
        }

        ImmutableArray<string>.Builder Of(string name)
        {
            if (!values.TryGetValue(name, out var list))
                values.Add(name, list = ImmutableArray.CreateBuilder<string>());
            return list;
        }
    }
}
