using System.Collections.Frozen;
using System.Text.Json;

namespace SignSvc.Signing.Artifacts;

/// <summary>The types of predicates: cosign's short names for them, and what the known ones must hold.</summary>
public static class PredicateTypes
{
    public const string SlsaProvenance = "https://slsa.dev/provenance/v1";
    public const string Custom = "https://cosign.sigstore.dev/attestation/v1";

    private const int MaxLength = 512;

    /// <summary>What cosign 3 signs of a container in place of the simple signing payload.</summary>
    private const string ContainerSignature = "https://sigstore.dev/cosign/sign/v1";

    /// <summary>The values of cosign's <c>--type</c>.</summary>
    private static readonly FrozenDictionary<string, string> ShortNames = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["slsaprovenance"] = "https://slsa.dev/provenance/v0.2",
        ["slsaprovenance02"] = "https://slsa.dev/provenance/v0.2",
        ["slsaprovenance1"] = SlsaProvenance,
        ["spdx"] = "https://spdx.dev/Document",
        ["spdxjson"] = "https://spdx.dev/Document",
        ["cyclonedx"] = "https://cyclonedx.org/bom",
        ["link"] = "https://in-toto.io/Link/v1",
        ["vuln"] = "https://cosign.sigstore.dev/attestation/vuln/v1",
        ["openvex"] = "https://openvex.dev/ns",
        ["custom"] = Custom,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>Members that a predicate has or is not of its type, by the specification of the type.</summary>
    private static readonly FrozenDictionary<string, string[][]> Required = new Dictionary<string, string[][]>(StringComparer.Ordinal)
    {
        [SlsaProvenance] =
        [
            ["buildDefinition", "buildType"],
            ["buildDefinition", "externalParameters"],
            ["runDetails", "builder", "id"],
        ],
        ["https://slsa.dev/provenance/v0.2"] = [["builder", "id"], ["buildType"]],
        ["https://spdx.dev/Document"] = [["spdxVersion"]],
        ["https://cyclonedx.org/bom"] = [["bomFormat"], ["specVersion"]],
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>The URI behind one of cosign's short names; anything else is what it is.</summary>
    public static string Expand(string type) => ShortNames.GetValueOrDefault(type, type);

    internal static bool IsContainerSignature(string? type) => string.Equals(type, ContainerSignature, StringComparison.Ordinal);

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    internal static void Check(string type, JsonElement predicate)
    {
        if (type.Length > MaxLength || type.Any(c => c <= ' ' || char.IsControl(c)) || !Uri.TryCreate(type, UriKind.Absolute, out _))
            throw new SigningException(SigningFault.InvalidRequest, $"predicateType is an absolute URI of at most {MaxLength} characters.");
        if (predicate.ValueKind != JsonValueKind.Object)
            throw new SigningException(SigningFault.InvalidRequest, "predicate is a JSON object.");
        foreach (var path in Required.GetValueOrDefault(type, []))
        {
            if (!Has(predicate, path))
                throw new SigningException(SigningFault.InvalidRequest, $"A predicate of type {type} has a member {string.Join('.', path)}.");
        }
    }

    private static bool Has(JsonElement at, string[] path)
    {
        foreach (var name in path)
        {
            if (at.ValueKind != JsonValueKind.Object || !at.TryGetProperty(name, out at))
                return false;
        }

        return at.ValueKind is not JsonValueKind.Null and not JsonValueKind.Undefined;
    }
}
