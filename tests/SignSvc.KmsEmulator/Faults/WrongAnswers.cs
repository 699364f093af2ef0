using System.Text.Json.Nodes;

namespace SignSvc.Emulation.Faults;

/// <summary>Falsifies answers without making them malformed.</summary>
internal static class WrongAnswers
{
    private static readonly string[] Blobs =
    [
        "Signature",
        "PublicKey",
        "Plaintext",
        "PrivateKeyPlaintext",
        "CiphertextBlob",
        "PrivateKeyCiphertextBlob",
    ];

    /// <summary>
    /// Flips the lowest bit of each blob: the s of an ECDSA signature stays in range, an RSA signature keeps its length,
    /// and neither verifies. Answers without blobs stay as they are.
    /// </summary>
    public static void Falsify(JsonObject answer)
    {
        foreach (var name in Blobs)
        {
            if (answer[name] is not { } blob)
                continue;
            var bytes = Convert.FromBase64String(blob.GetValue<string>());
            bytes[^1] ^= 1;
            answer[name] = Convert.ToBase64String(bytes);
        }
    }
}
