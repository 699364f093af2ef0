using System.Text.Json.Nodes;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Grants;

internal sealed class Grant
{
    /// <summary>64 hexadecimal digits.</summary>
    public required string Id { get; init; }

    public string? Name { get; init; }

    public required string GranteePrincipal { get; init; }

    public string? RetiringPrincipal { get; init; }

    public required List<string> Operations { get; init; }

    /// <summary>EncryptionContextEquals or EncryptionContextSubset; null without constraint.</summary>
    public string? ConstraintKind { get; init; }

    public SortedDictionary<string, string> ConstraintContext { get; init; } = new(StringComparer.Ordinal);

    public required string IssuingAccount { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Whether a CreateGrant asks for this very grant; then its Name makes the retry idempotent.</summary>
    public bool Equivalent(Grant other) =>
        string.Equals(Name, other.Name, StringComparison.Ordinal)
        && string.Equals(GranteePrincipal, other.GranteePrincipal, StringComparison.Ordinal)
        && string.Equals(RetiringPrincipal, other.RetiringPrincipal, StringComparison.Ordinal)
        && string.Equals(ConstraintKind, other.ConstraintKind, StringComparison.Ordinal)
        && ConstraintContext.SequenceEqual(other.ConstraintContext)
        && Operations.ToHashSet(StringComparer.Ordinal).SetEquals(other.Operations);

    public JsonObject ToJson(string keyArn)
    {
        var answer = new JsonObject
        {
            ["KeyId"] = keyArn,
            ["GrantId"] = Id,
            [nameof(Name)] = Name ?? "",
            ["CreationDate"] = Answer.Time(CreatedAt),
            [nameof(GranteePrincipal)] = GranteePrincipal,
            [nameof(IssuingAccount)] = $"arn:aws:iam::{IssuingAccount}:root",
            [nameof(Operations)] = Answer.List(Operations),
        };
        if (RetiringPrincipal is not null)
            answer[nameof(RetiringPrincipal)] = RetiringPrincipal;
        if (ConstraintKind is not null)
        {
            var context = new JsonObject();
            foreach (var (name, value) in ConstraintContext)
                context[name] = value;
            answer["Constraints"] = new JsonObject { [ConstraintKind] = context };
        }

        return answer;
    }
}
