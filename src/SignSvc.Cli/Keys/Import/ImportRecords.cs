namespace SignSvc.Cli.Keys.Import;

/// <param name="WrappingPublicKey">PEM.</param>
internal sealed record ImportParametersAnswer(string WrappingPublicKey, string[] Algorithms, string Token, DateTimeOffset ExpiresAt);

internal sealed record ImportBody(string Token, string Algorithm, byte[] WrappedKey, bool Activate);
