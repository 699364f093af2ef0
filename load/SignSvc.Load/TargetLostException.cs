namespace SignSvc.Load;

/// <summary>What was to be measured is not there, does not answer, or went away.</summary>
public sealed class TargetLostException(string message, Exception? inner = null) : Exception(message, inner);
