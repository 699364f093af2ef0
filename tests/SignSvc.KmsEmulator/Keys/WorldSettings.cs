namespace SignSvc.Emulation.Keys;

/// <summary>Behaviour of the stored state that may be changed while the emulator runs.</summary>
public sealed class WorldSettings
{
    /// <summary>
    /// How long new keys stay unknown and created, moved or deleted aliases keep answering as before. AWS KMS usually
    /// needs seconds, sometimes minutes.
    /// </summary>
    public TimeSpan ConsistencyDelay { get; set; } = TimeSpan.Zero;

    /// <summary>How long a new replica stays in the state Creating.</summary>
    public TimeSpan ReplicationDelay { get; set; } = TimeSpan.Zero;

    /// <summary>Keys in an account and Region (AWS: 100,000).</summary>
    public int KeysPerRegion { get; set; } = 100_000;

    /// <summary>Aliases of a key (AWS: 50).</summary>
    public int AliasesPerKey { get; set; } = 50;

    /// <summary>Grants of a key (AWS: 50,000).</summary>
    public int GrantsPerKey { get; set; } = 50_000;
}
