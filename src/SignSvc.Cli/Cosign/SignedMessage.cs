using System.Security.Cryptography;
using SignSvc.Cli.Signing;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Keys;

namespace SignSvc.Cli.Cosign;

/// <summary>What came on standard input, in one pass: its digest, and what it says of itself.</summary>
internal sealed record SignedMessage(byte[] Digest, SigningContext Context)
{
    private const int PieceLength = 128 * 1024;

    /// <summary>A container's payload has a few hundred bytes; other JSON files need not be kept.</summary>
    private const int MaxSimpleSigningBytes = 64 * 1024;

    /// <param name="given">cosign's digest of the same message; null where it made none.</param>
    /// <exception cref="CommandException"><see cref="ExitCode.Usage"/>: it is another message's.</exception>
    public static async Task<SignedMessage> ReadAsync(
        Stream message, SigningAlgorithm algorithm, byte[]? given, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(algorithm.Hash);
        var piece = new byte[PieceLength];
        var length = await message.ReadAtLeastAsync(piece, PieceLength, throwOnEndOfStream: false, cancellationToken);
        if (length == 0 && given is not null)
            return new SignedMessage(given, PipelineFacts.AddTo(SignedContent.ContextOf([])));

        // Blobs of any size pass through; only what can be read is kept.
        var kept = SignedContent.IsReadable(piece.AsSpan(0, length)) ? new MemoryStream() : null;
        var maxKept = Dsse.IsEncoded(piece.AsSpan(0, length)) ? SignedContent.MaxReadableBytes : MaxSimpleSigningBytes;
        var isAttestation = Dsse.IsEncoded(piece.AsSpan(0, length));
        for (; length > 0; length = await message.ReadAsync(piece, cancellationToken))
        {
            hash.AppendData(piece.AsSpan(0, length));
            if (kept is not null && kept.Length + length > maxKept)
                kept = null;
            kept?.Write(piece.AsSpan(0, length));
        }

        var digest = hash.GetHashAndReset();
        if (given is not null && !digest.AsSpan().SequenceEqual(given))
            throw CommandException.Usage("cosign's digest is not that of the message it sent: nothing was signed.");
        var context = kept is not null
            ? SignedContent.ContextOf(kept.GetBuffer().AsSpan(0, (int)kept.Length))
            : new SigningContext { Artifact = new ArtifactFacts(isAttestation ? "attestation" : "blob") };
        return new SignedMessage(digest, PipelineFacts.AddTo(context));
    }
}
