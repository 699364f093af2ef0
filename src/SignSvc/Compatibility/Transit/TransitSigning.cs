using System.Buffers.Text;
using System.Text.Json;
using SignSvc.Http;
using SignSvc.Signing;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Compatibility.Transit;

/// <summary><c>sign</c> and <c>verify</c>: nothing but <see cref="Signer"/> in Vault's words.</summary>
internal sealed class TransitSigning(Signer signer, LiveSnapshot live)
{
    private const string Prefix = "vault:v";
    private const string Reference = "reference";

    public async Task<TransitAnswer> SignAsync(TransitCall call)
    {
        var algorithms = TransitAlgorithms.Parse(call);
        var algorithm = algorithms.ForSigning(Key(call));
        if (BatchOf(call) is not { } items)
        {
            var made = await signer.SignAsync(call.Caller, RequestOf(call, call.Body, algorithms, algorithm), call.CancellationToken);
            call.Http.Response.Headers[Grpc.Faults.AuditIdTrailer] = made.AuditId;
            return new TransitAnswer(data => Write(data, made, algorithms));
        }

        var parsed = Batches.Parse(items, item => RequestOf(call, item, algorithms, algorithm));
        var outcomes = await signer.SignBatchAsync(call.Caller, Batches.Valid(parsed), call.CancellationToken);
        var results = Batches.Merge(
            parsed, outcomes,
            (_, made) => (Action<Utf8JsonWriter>)(item => Write(item, made, algorithms)),
            refusal => item => item.WriteString("error", TransitFaults.Words(refusal)));
        return OfBatch(items, results);
    }

    public async Task<TransitAnswer> VerifyAsync(TransitCall call)
    {
        var algorithms = TransitAlgorithms.Parse(call);
        if (BatchOf(call) is not { } items)
        {
            var valid = await VerifyAsync(call, call.Body, algorithms);
            return new TransitAnswer(data => data.WriteBoolean("valid", valid));
        }

        var results = new List<Action<Utf8JsonWriter>>(items.Length);
        foreach (var item in items)
        {
            try
            {
                var valid = await VerifyAsync(call, item, algorithms);
                results.Add(data => data.WriteBoolean("valid", valid));
            }
            catch (SigningException e)
            {
                results.Add(data => data.WriteString("error", TransitFaults.Words(e)));
            }
        }

        return OfBatch(items, results);
    }

    /// <summary>The version in the signature's prefix is the client's guess: every published version is tried.</summary>
    private async Task<bool> VerifyAsync(TransitCall call, ClientJson item, TransitAlgorithms algorithms)
    {
        if (item.Has("hmac") || item.Has("cmac"))
            throw ClientJson.Invalid("SignSvc has no HMAC keys: give a signature.");
        var signature = SignatureOf(item.Text("signature") ?? throw ClientJson.Invalid("signature is missing."), algorithms.IsJws);
        var encoding = algorithms.IsJws ? SignatureEncoding.P1363 : SignatureEncoding.Der;
        foreach (var algorithm in algorithms.ForVerifying(Key(call)))
        {
            var request = RequestOf(call, item, algorithms, algorithm) with { Version = null };
            var verification = await signer.VerifyAsync(
                call.Caller, request, key => SigningEndpoints.Decode(key.Spec, signature, encoding), call.CancellationToken);
            if (verification.Valid)
                return true;
        }

        return false;
    }

    /// <summary>Only to read what the client left out; whether it may be used is decided on the path.</summary>
    private Key? Key(TransitCall call) => live.Current.Keys.TryGet(call.Key, out var key) ? key : null;

    private static SignRequest RequestOf(TransitCall call, ClientJson item, TransitAlgorithms algorithms, SigningAlgorithm? algorithm)
    {
        var input = item.Bytes("input") ?? throw ClientJson.Invalid("input is missing.");
        return new SignRequest
        {
            Key = call.Key,
            Algorithm = algorithm,
            Payload = algorithms.IsPrehashed ? Payload.Digest(input) : Payload.Message(input),
            Version = call.Body.Number("key_version") is { } version and not 0 ? version : null,
        };
    }

    private static System.Collections.Immutable.ImmutableArray<ClientJson>? BatchOf(TransitCall call)
    {
        if (call.Body.Objects("batch_input") is not { } items)
            return null;
        if (items.Count is < 1 or > SigningEndpoints.MaxBatch)
            throw ClientJson.Invalid($"batch_input holds from 1 to {SigningEndpoints.MaxBatch} items.");
        // Before anything is done: the answer repeats them.
        foreach (var item in items)
            _ = item.Text(Reference);
        return [.. items];
    }

    private static TransitAnswer OfBatch(IReadOnlyList<ClientJson> items, IReadOnlyList<Action<Utf8JsonWriter>> results) => new(data =>
    {
        data.WriteStartArray("batch_results");
        for (var i = 0; i < results.Count; i++)
        {
            data.WriteStartObject();
            results[i](data);
            if (items[i].Text(Reference) is { Length: > 0 } reference)
                data.WriteString(Reference, reference);
            data.WriteEndObject();
        }

        data.WriteEndArray();
    });

    private static void Write(Utf8JsonWriter data, SignedDigest made, TransitAlgorithms algorithms)
    {
        var signature = made.Algorithm.Family == KeyFamily.Ecc && !algorithms.IsJws ? EcdsaEncoding.ToDer(made.Signature) : made.Signature;
        var text = algorithms.IsJws ? Base64Url.EncodeToString(signature) : Convert.ToBase64String(signature);
        data.WriteString("signature", $"{Prefix}{made.Version.Number}:{text}");
        data.WriteNumber("key_version", made.Version.Number);
    }

    private static byte[] SignatureOf(string text, bool isJws)
    {
        var isOurs = text.Split(':') is ["vault", ['v', .. var number], _] && int.TryParse(number, out var version) && version > 0;
        if (!isOurs)
            throw ClientJson.Invalid("A signature has the form vault:v1:BASE64.");
        var value = text[(text.LastIndexOf(':') + 1)..];
        var bytes = new byte[value.Length];
        var isRead = isJws
            ? Base64Url.TryDecodeFromChars(value, bytes, out var written)
            : Convert.TryFromBase64String(value, bytes, out written);
        return isRead ? bytes[..written] : throw ClientJson.Invalid("The signature is not base64.");
    }
}
