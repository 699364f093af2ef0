using System.Collections.Immutable;
using SignSvc.Emulation.Keys;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation;

public sealed record KmsEmulatorOptions
{
    /// <summary>Where it listens; port 0 takes a free one.</summary>
    public Uri Url { get; init; } = new("http://127.0.0.1:0");

    /// <summary>
    /// The access keys it knows. Without any, all are accepted, and one of 12 digits names its account.
    /// </summary>
    public ImmutableArray<AccessKey> AccessKeys { get; init; } = [];

    /// <summary>Keys and aliases are kept in this file and read from it at start; null keeps them in memory.</summary>
    public string? StateFile { get; init; }

    /// <summary>Serves <c>/_emulator/…</c>, which anyone who reaches the port may use.</summary>
    public bool Control { get; init; }

    /// <summary>The time of keys: creation, deletion, rotation, expiry, delayed consistency.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>
    /// The time of requests: signature dates, quotas, latency and hanging. Apart from <see cref="Clock"/>, because
    /// clients sign with the wall clock however a test moves the time of keys.
    /// </summary>
    public TimeProvider RequestClock { get; init; } = TimeProvider.System;

    public WorldSettings World { get; init; } = new();

    /// <summary>Seed of the faults' probabilities and of the latency, so that a run can be repeated.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Logs to the console; a test has its own output.</summary>
    public bool Log { get; init; }
}
