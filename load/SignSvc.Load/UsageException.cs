namespace SignSvc.Load;

/// <summary>What was asked for cannot be done; the message says what to do instead.</summary>
public sealed class UsageException(string message) : Exception(message);
