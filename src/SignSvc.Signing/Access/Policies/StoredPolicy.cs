using System.Text.Json;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Access.Policies;

/// <summary>A policy as it stands in the store: of the service, by its name, or of a key, by the key's id.</summary>
public sealed record StoredPolicy
{
    public required PolicyScope Scope { get; init; }

    /// <summary>A service policy's name (<see cref="Keys.KeyName"/>), or a key's id.</summary>
    public required string Name { get; init; }

    public required PolicyDocument Document { get; init; }

    public required DateTimeOffset ChangedAt { get; init; }

    /// <summary>The principal who wrote it.</summary>
    public required string ChangedBy { get; init; }

    internal string Source => Scope == PolicyScope.Service ? $"policy/{Name}" : $"key/{Name}";

    internal static string KindOf(PolicyScope scope) => scope == PolicyScope.Service ? DocumentKind.Policy : DocumentKind.KeyPolicy;

    internal Change Put(Snapshot basis) => new(
        KindOf(Scope), Name, basis.DocumentVersion(KindOf(Scope), Name) + 1,
        JsonSerializer.SerializeToUtf8Bytes(this, SigningJson.Default.StoredPolicy));

    internal static Change Remove(PolicyScope scope, string name, Snapshot basis) =>
        new(KindOf(scope), name, basis.DocumentVersion(KindOf(scope), name) + 1, ReadOnlyMemory<byte>.Empty);
}
