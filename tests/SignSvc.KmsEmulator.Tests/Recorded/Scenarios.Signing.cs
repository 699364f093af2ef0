using System.Security.Cryptography;

namespace SignSvc.Emulation.Tests.Recorded;

internal static partial class Scenarios
{
    private static async Task test_sign_verify(Replay replay)
    {
        var key = await NewSigningKey(replay);
        if (replay.IsEmpty)
        {
            // Nothing is recorded for the two specs with another spec's algorithm.
            Assert.Equal("InvalidKeyUsageException", (await key.Sign("RAW", Message)).Error);
            return;
        }

        var digest = CryptographicOperations.HashData(HashOf(key.Algorithm), Message);
        var signature = await key.Sign("RAW", Message);
        replay.Match("signature", signature);
        replay.Match("verification", await key.Verify("RAW", Message, signature));
        var ofDigest = await key.Sign("DIGEST", digest);
        Assert.Null((await key.Verify("DIGEST", digest, ofDigest)).Error);
        Assert.Null((await key.Verify("RAW", Message, ofDigest)).Error);

        // 28 bytes: the length of no digest.
        replay.Match("bad-digest", await key.Sign("DIGEST", "test message !%$@ 1234567890"u8.ToArray()));
        var ofOther = await key.Sign("RAW", "bad"u8.ToArray());
        replay.Match("bad-signature", await key.Verify("RAW", Message, ofOther));
    }

    /// <summary>Nothing is recorded but that the public key verified: PSS with a salt as long as the hash.</summary>
    private static async Task test_verify_salt_length(Replay replay)
    {
        var key = await NewSigningKey(replay);
        var publicKey = (await replay.Kms.DoAsync("GetPublicKey", new { key.KeyId })).Blob("PublicKey");
        var digest = CryptographicOperations.HashData(HashOf(key.Algorithm), Message);
        foreach (var (type, message) in new[] { ("RAW", Message), ("DIGEST", digest) })
        {
            var signature = (await key.Sign(type, message)).Blob("Signature");
            Assert.True(PublicKeys.Verify(publicKey, key.Algorithm, digest, signature));
        }
    }

    private static HashAlgorithmName HashOf(string algorithm) => new($"SHA{algorithm[^3..]}");

    /// <summary>A key of the spec that the test's name gives, with the algorithm that it gives.</summary>
    private static async Task<SigningKey> NewSigningKey(Replay replay) =>
        new(replay.Kms, await NewKeyId(replay, replay.Arguments[0], SignVerify), replay.Arguments[1]);

    private sealed record SigningKey(KmsWire Kms, string KeyId, string Algorithm)
    {
        public Task<Reply> Sign(string messageType, byte[] message) =>
            Kms.SendAsync(
                "Sign",
                new { KeyId, SigningAlgorithm = Algorithm, MessageType = messageType, Message = message });

        public Task<Reply> Verify(string messageType, byte[] message, Reply signed) =>
            Kms.SendAsync(
                "Verify",
                new
                {
                    KeyId,
                    SigningAlgorithm = Algorithm,
                    MessageType = messageType,
                    Message = message,
                    Signature = signed.Text("Signature"),
                });
    }
}
