namespace SignSvc.Cli.Keys;

internal sealed record NewKeyBody(
    string Name, string Purpose, string Spec, string? Tier, string? Backend, string[]? Algorithms, string? Description,
    string? Owner, Dictionary<string, string>? Tags);

internal sealed record VersionAnswer(int Version, string Kid, string State, string Protection, DateTimeOffset CreatedAt);

internal sealed record KeyAnswer(
    string Id, string Name, string? Description, string? Owner, string Purpose, string Tier, string Backend,
    string Protection, string Spec, string[] Algorithms, string State, Dictionary<string, string>? Tags,
    DateTimeOffset CreatedAt, VersionAnswer[] Versions, string[]? Warnings)
{
    /// <summary>The newest version that signs, else the newest.</summary>
    public VersionAnswer? Current =>
        Array.FindLast(Versions, v => string.Equals(v.State, "active", StringComparison.Ordinal)) ?? Versions.LastOrDefault();
}

internal sealed record KeyList(KeyAnswer[] Keys, string? Next);
