using System.Text.Json;
using SignSvc.Signing;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Compatibility.AwsKms;

/// <summary>Sign and Verify: nothing but <see cref="Signer"/> in AWS KMS's words.</summary>
internal sealed class SigningOperations(Signer signer, LiveSnapshot live)
{
    /// <summary>AWS KMS's limits, in bytes.</summary>
    private const int MaxMessage = 4096;
    private const int MaxSignature = 6144;

    public async Task<Action<Utf8JsonWriter>?> SignAsync(KmsCall call)
    {
        call.RefuseGrantsAndDryRuns();
        var signed = await signer.SignAsync(call.Caller, RequestOf(call), call.CancellationToken);
        call.AuditId = signed.AuditId;
        return writer =>
        {
            writer.WriteString("KeyId", KeyNames.ArnOf(signed.Key, call.Region));
            writer.WriteBase64String(
                "Signature", signed.Algorithm.Family == KeyFamily.Ecc ? EcdsaEncoding.ToDer(signed.Signature) : signed.Signature);
            writer.WriteString("SigningAlgorithm", signed.Algorithm.KmsName);
        };
    }

    public async Task<Action<Utf8JsonWriter>?> VerifyAsync(KmsCall call)
    {
        call.RefuseGrantsAndDryRuns();
        var request = RequestOf(call);
        var signature = call.Bytes("Signature", MaxSignature);
        var verification = await signer.VerifyAsync(
            call.Caller, request,
            key => SigningEndpoints.Decode(key.Spec, signature, SignatureEncoding.Der), call.CancellationToken);
        // An invalid signature is an error there, never an answer.
        if (!verification.Valid)
            throw new KmsException("KMSInvalidSignatureException", "The signature is not valid for this message, key and algorithm.");
        var arn = live.Current.Keys.TryGet(request.Key, out var key) ? KeyNames.ArnOf(key, call.Region) : request.Key;
        return writer =>
        {
            writer.WriteString("KeyId", arn);
            writer.WriteBoolean("SignatureValid", true);
            writer.WriteString("SigningAlgorithm", request.Algorithm!.KmsName);
        };
    }

    private static SignRequest RequestOf(KmsCall call)
    {
        var key = call.Key();
        var algorithm = call.Algorithm();
        var message = call.Bytes("Message", MaxMessage);
        var payload = call.Text("MessageType") switch
        {
            null or "RAW" => Payload.Message(message),
            "DIGEST" when message.Length != algorithm.DigestLength =>
                throw KmsException.Validation($"Digest is invalid length for algorithm {algorithm.KmsName}."),
            "DIGEST" => Payload.Digest(message),
            var other => throw KmsException.Constraint("MessageType", other, "satisfy enum value set: [RAW, DIGEST]"),
        };
        return new SignRequest { Key = key, Algorithm = algorithm, Payload = payload };
    }
}
