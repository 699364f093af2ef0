namespace SignSvc.Backends.Pkcs11.Tokens;

/// <summary>Waits for threads that are on their way out.</summary>
internal static class Patience
{
    private const int Turns = 10;

    /// <summary>In turns: where the machine stands still, <see cref="SpinWait"/>'s time is over without another look.</summary>
    /// <returns>Whether it holds.</returns>
    public static bool Until(Func<bool> holds, TimeSpan patience)
    {
        for (var turn = 0; turn < Turns; turn++)
        {
            if (SpinWait.SpinUntil(holds, patience / Turns))
                return true;
        }

        return holds();
    }
}
