namespace SignSvc.Load;

/// <summary>How the program ends: the whole of it, which load/README.md repeats.</summary>
internal static class ExitCode
{
    /// <summary>What had to hold held, or nothing had to.</summary>
    public const int Held = 0;

    /// <summary>A threshold, check or figure was missed; or, where everything has to be there (<c>ratios --check</c>), not measured.</summary>
    public const int Missed = 1;

    /// <summary>Nothing was measured: a wrong argument, or something that is missing here; the message says what.</summary>
    public const int Unusable = 2;

    /// <summary>The service did not answer, or went away: the run was aborted and is not judged.</summary>
    public const int TargetLost = 3;

    /// <summary>Ctrl-C or SIGTERM: the run was aborted and is not judged.</summary>
    public const int Interrupted = 130;

    public static int Of(bool held) => held ? Held : Missed;
}
