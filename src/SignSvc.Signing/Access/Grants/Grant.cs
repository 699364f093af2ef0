using System.Collections.Immutable;
using System.Text.Json;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Access.Grants;

/// <summary>A key's owner lets somebody use the key, within bounds, without a policy being changed.</summary>
public sealed record Grant
{
    /// <summary>What can be granted: use, and never administration.</summary>
    public static ImmutableArray<string> Grantable { get; } = [Actions.KeysSign, Actions.KeysVerify, Actions.KeysRead];

    /// <summary>UUID version 7.</summary>
    public required string Id { get; init; }

    public required string KeyId { get; init; }

    /// <summary>Unique among the key's grants: asking twice under one name gives one grant.</summary>
    public string? Name { get; init; }

    /// <summary>A pattern of <see cref="Caller.Principal"/>.</summary>
    public required string Grantee { get; init; }

    /// <summary>Some of <see cref="Grantable"/>.</summary>
    public required ImmutableArray<string> Operations { get; init; }

    /// <summary>Conditions as in a statement; all of them have to hold.</summary>
    public PolicyConditions Constraints { get; init; } = PolicyConditions.None;

    public required DateTimeOffset CreatedAt { get; init; }

    public required string CreatedBy { get; init; }

    /// <summary>From then on it allows nothing; null: never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Signatures that it allows in all, on all nodes together; null: any number.</summary>
    public int? MaxUses { get; init; }

    /// <summary>Spent so far; counted where <see cref="MaxUses"/> bounds them.</summary>
    public int Uses { get; init; }

    public bool IsLiveAt(DateTimeOffset now) => ExpiresAt is null || now < ExpiresAt;

    internal bool GivesTheSameAs(Grant other) =>
        string.Equals(Grantee, other.Grantee, StringComparison.Ordinal) && Operations.SequenceEqual(other.Operations, StringComparer.Ordinal)
        && Constraints.All.SequenceEqual(other.Constraints.All) && ExpiresAt == other.ExpiresAt && MaxUses == other.MaxUses;

    internal Change Put(Snapshot basis) => new(
        DocumentKind.Grant, Id, basis.DocumentVersion(DocumentKind.Grant, Id) + 1,
        JsonSerializer.SerializeToUtf8Bytes(this, SigningJson.Default.Grant), Name is null ? [] : [$"grant:{KeyId}:{Name}"]);

    internal Change Remove(Snapshot basis) =>
        new(DocumentKind.Grant, Id, basis.DocumentVersion(DocumentKind.Grant, Id) + 1, ReadOnlyMemory<byte>.Empty);
}

/// <summary>A grant that is ready to decide.</summary>
internal sealed class CompiledGrant
{
    private CompiledGrant(Grant grant, ImmutableArray<Condition> conditions)
    {
        Grant = grant;
        Name = $"grant/{grant.Id}";
        Conditions = conditions;
    }

    public Grant Grant { get; }

    public string Name { get; }

    public ImmutableArray<Condition> Conditions { get; }

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public static CompiledGrant Compile(Grant grant) => new(grant, [.. grant.Constraints.All.Select(c => Condition.Compile(c, "The grant"))]);

    /// <summary>Whether it is about this caller and action at all.</summary>
    public bool IsFor(in AccessRequest request) =>
        Grant.Operations.Contains(request.Action, StringComparer.Ordinal) && Wildcard.Matches(Grant.Grantee, request.Caller.Principal);

    /// <summary>Uses are of signatures: whoever has none left may still read and verify.</summary>
    public bool IsSpentFor(string action) =>
        Grant.Uses >= Grant.MaxUses && string.Equals(action, Actions.KeysSign, StringComparison.Ordinal);

    public bool Allows(in AccessRequest request)
    {
        if (!IsFor(request) || !Grant.IsLiveAt(request.At) || IsSpentFor(request.Action))
            return false;
        foreach (var condition in Conditions)
        {
            if (!condition.Holds(request, PolicyEffect.Allow))
                return false;
        }

        return true;
    }
}
