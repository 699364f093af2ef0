namespace SignSvc.Backends.Pkcs11;

public enum Pkcs11TokenState
{
    /// <summary>Not connected at this moment; calls wait.</summary>
    Connecting,

    Ready,

    /// <summary>Calls are refused at once. It becomes ready by itself when the token does.</summary>
    Unavailable,
}

/// <summary>What health checks and metrics show of a token.</summary>
/// <param name="Sessions">Open for work.</param>
/// <param name="Waiting">Calls in the queue.</param>
/// <param name="Abandoned">Threads that hang inside the module.</param>
/// <param name="Connections">Times that it was connected since the start: 1 in a quiet life.</param>
/// <param name="Trouble">Why it is not connected.</param>
public sealed record Pkcs11TokenStatus(
    string Token, Pkcs11TokenState State, int Sessions, int Waiting, int Abandoned, int Connections, string? Trouble);
