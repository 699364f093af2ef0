using System.CommandLine;
using System.Security.Cryptography;
using SignSvc.Cli.Http;
using SignSvc.Signing.Keys;

namespace SignSvc.Cli.Signing;

/// <summary>What is signed: the digest of a file, computed here in one pass and constant memory, so that no artifact travels.</summary>
internal static class ArtifactDigest
{
    private const int PieceLength = 128 * 1024;

    public static readonly Argument<string> File = Parameters.Required("file", "The file, or - for standard input.");

    public static readonly Option<string?> Algorithm = Parameters.Text(
        "--algorithm", "name", "Such as ES256 or RS256. Default: the key's first.");

    public static Option<string> EncodingOption()
    {
        var option = new Option<string>("--encoding")
        {
            HelpName = "der|p1363",
            Description = "How an ECDSA signature is written: DER (openssl, cosign), or r‖s (JWS, notation).",
            DefaultValueFactory = _ => "der",
        };
        option.AcceptOnlyFromAmong("der", "p1363");
        return option;
    }

    /// <summary>The one that was asked for, or else the key's first.</summary>
    public static async Task<SigningAlgorithm> ChooseAsync(
        string? named, string key, ServiceClient service, CancellationToken cancellationToken)
    {
        if (named is not null)
            return SigningAlgorithm.Parse(named);
        var answer = await service.GetAsync(ApiPath.Key(key), cancellationToken);
        return answer.Read(CliJson.Default.KeyAnswer).Algorithms is [var first, ..] && SigningAlgorithm.TryParse(first, out var algorithm)
            ? algorithm
            : throw CommandException.Usage($"The key {key} signs with nothing that this signsvc knows.", "Is there a newer one?");
    }

    public static async Task<byte[]> ComputeAsync(Stream artifact, SigningAlgorithm algorithm, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(algorithm.Hash);
        var piece = new byte[PieceLength];
        while (await artifact.ReadAsync(piece, cancellationToken) is > 0 and var length)
            hash.AppendData(piece.AsSpan(0, length));
        return hash.GetHashAndReset();
    }
}
