namespace SignSvc.Load;

/// <summary>What was asked for cannot be done; the message says what to do instead.</summary>
public sealed class UsageException(string message) : Exception(message);

/// <summary>What was to be measured is not there, does not answer, or went away.</summary>
public sealed class TargetLostException(string message, Exception? inner = null) : Exception(message, inner);
