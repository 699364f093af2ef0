using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using SignSvc.Access;
using SignSvc.Signing;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Access.Limits;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Http;

/// <summary>The enumerations of the wire: names in camelCase, never numbers.</summary>
internal static class WireEnums
{
    private static readonly ImmutableArray<WireEnum> All =
    [
        WireEnum.Of<KeyPurpose>(),
        WireEnum.Of<KeyTier>(),
        WireEnum.Of<KeyState>(),
        WireEnum.Of<VersionState>(),
        WireEnum.Of<RevocationReason>(),
        WireEnum.Of<KeyOrigin>(),
        WireEnum.Of<Protection>(),
        WireEnum.Of<SignatureEncoding>(),
        WireEnum.Of<Role>(),
        WireEnum.Of<PolicyEffect>(),
        WireEnum.Of<PolicyScope>(),
        WireEnum.Of<LimitShare>(),
        WireEnum.Of<PolicyFindingKind>(),
        WireEnum.Of<PolicyVerdict>(),
        WireEnum.Of<ApprovalState>(),
        WireEnum.Of<CallerKind>(),
        WireEnum.Of<AuditOutcome>(),
        WireEnum.Of<BreakerState>(),
        WireEnum.Of<ClaimType>(),
        WireEnum.Of<SigningFault>(JsonNamingPolicy.KebabCaseLower),
    ];

    public static void AddTo(JsonSerializerOptions options)
    {
        foreach (var one in All)
            options.Converters.Add(one.Converter);
    }

    /// <summary>The words of an enumeration, as the API writes them.</summary>
    public static string ChoicesOf<T>()
        where T : struct, Enum => All.First(e => e.Type == typeof(T)).Choices;

    /// <summary>What can stand at a place; null where it is not for an enumeration.</summary>
    /// <param name="root">What is read.</param>
    /// <param name="path">As the serializer has it: <c>$.roles[0]</c>.</param>
    public static string? ChoicesAt(JsonSerializerOptions options, Type? root, string? path)
    {
        if (root is null || path is null)
            return null;
        var at = root;
        foreach (var step in path.Split(['.', '['], StringSplitOptions.RemoveEmptyEntries).Skip(1))
        {
            if (!options.TryGetTypeInfo(at, out var info))
                return null;
            var next = step.EndsWith(']')
                ? info.ElementType
                : info.Properties.FirstOrDefault(p => string.Equals(p.Name, step, StringComparison.Ordinal))?.PropertyType;
            if (next is null)
                return null;
            at = next;
        }

        return All.FirstOrDefault(e => e.Type == (Nullable.GetUnderlyingType(at) ?? at))?.Choices;
    }

    private sealed record WireEnum(Type Type, JsonConverter Converter, string Choices)
    {
        public static WireEnum Of<T>(JsonNamingPolicy? naming = null)
            where T : struct, Enum
        {
            var policy = naming ?? JsonNamingPolicy.CamelCase;
            return new WireEnum(
                typeof(T), new JsonStringEnumConverter<T>(policy, allowIntegerValues: false),
                string.Join(", ", Enum.GetNames<T>().Select(policy.ConvertName)));
        }
    }
}
