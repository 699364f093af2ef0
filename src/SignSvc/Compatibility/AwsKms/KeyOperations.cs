using System.Security.Cryptography;
using System.Text.Json;
using SignSvc.Signing.Keys;

namespace SignSvc.Compatibility.AwsKms;

/// <summary>Reading, making and changing keys in AWS KMS's words.</summary>
internal sealed class KeyOperations(KeyLifecycle keys, KeyChanges changes, TimeProvider time)
{
    private const int UsualPage = 100;

    public async Task<Action<Utf8JsonWriter>?> DescribeAsync(KmsCall call)
    {
        var key = await ReadAsync(call, call.Key());
        return writer => KeyMetadata.Write(writer, key, call.Region);
    }

    /// <summary>Of the version that signs, or did until the key was stopped; where there is none, of the newest.</summary>
    public async Task<Action<Utf8JsonWriter>?> GetPublicKeyAsync(KmsCall call)
    {
        var key = await ReadAsync(call, call.Key());
        var version = key.InForce(time.GetUtcNow()) ?? key.Versions.LastOrDefault(v => v.IsPublished)
            ?? throw new KmsException("KMSInvalidStateException", $"{KeyNames.ArnOf(key, call.Region)} has no version that is published.");
        return writer =>
        {
            writer.WriteString("KeyId", KeyNames.ArnOf(key, call.Region));
            writer.WriteBase64String("PublicKey", version.PublicKey.Spki.Span);
            KeyMetadata.WriteUse(writer, key);
        };
    }

    public async Task<Action<Utf8JsonWriter>?> ListAsync(KmsCall call)
    {
        var size = call.Number("Limit", UsualPage, 1, KeyLifecycle.MaxPage);
        // One more than is shown tells whether there is a next page.
        var page = await keys.ListAsync(call.Caller, new KeyFilter(), size + 1, call.Text("Marker"), call.CancellationToken);
        return writer =>
        {
            writer.WriteStartArray("Keys");
            foreach (var key in page.Take(size))
            {
                writer.WriteStartObject();
                writer.WriteString("KeyId", key.Id);
                writer.WriteString("KeyArn", KeyNames.ArnOf(key, call.Region));
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            if (page.Length > size)
                writer.WriteString("NextMarker", page[size - 1].Name);
            writer.WriteBoolean("Truncated", page.Length > size);
        };
    }

    /// <summary>Keys have no names there: this one is called <c>kms-</c> and random digits. As in AWS KMS it signs with every algorithm of its spec.</summary>
    public async Task<Action<Utf8JsonWriter>?> CreateAsync(KmsCall call)
    {
        var spec = SpecOf(call);
        if (call.Parameters.Has("Policy"))
            throw KmsException.Unsupported("Policies of keys here are not those of AWS: leave Policy out.");
        if (call.Parameters.Flag("MultiRegion") == true)
            throw KmsException.Unsupported("SignSvc has no multi-Region keys.");
        var origin = call.Text("Origin") switch
        {
            null or "AWS_KMS" or "AWS_CLOUDHSM" => KeyOrigin.Generated,
            "EXTERNAL" => KeyOrigin.Imported,
            _ => throw KmsException.Unsupported("Origin is AWS_KMS, AWS_CLOUDHSM or EXTERNAL."),
        };
        var request = NewKey.Parse(
            $"kms-{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8))}", KeyPurpose.Artifacts, KeyTier.Assured, call.Text("CustomKeyStoreId"),
            spec.Name, [.. spec.Algorithms.Select(a => a.Name)], call.Text("Description"), tags: TagOperations.TagsOf(call), origin: origin);
        var key = await keys.CreateAsync(call.Caller, request, call.CancellationToken);
        return writer => KeyMetadata.Write(writer, key, call.Region);
    }

    public async Task<Action<Utf8JsonWriter>?> EnableAsync(KmsCall call)
    {
        await changes.EnableAsync(call.Caller, call.KeyNoAlias(), call.CancellationToken);
        return null;
    }

    public async Task<Action<Utf8JsonWriter>?> DisableAsync(KmsCall call)
    {
        await changes.DisableAsync(call.Caller, call.KeyNoAlias(), call.CancellationToken);
        return null;
    }

    public async Task<Action<Utf8JsonWriter>?> UpdateDescriptionAsync(KmsCall call)
    {
        var description = call.Text("Description") ?? throw KmsException.Missing("Description");
        await changes.UpdateAsync(call.Caller, call.KeyNoAlias(), _ => new KeyUpdate(description), call.CancellationToken);
        return null;
    }

    public async Task<Action<Utf8JsonWriter>?> ScheduleDeletionAsync(KmsCall call)
    {
        var days = call.Number("PendingWindowInDays", KeyChanges.MaxDeletionDays, KeyChanges.MinDeletionDays, KeyChanges.MaxDeletionDays);
        var key = await changes.ScheduleDeletionAsync(call.Caller, call.KeyNoAlias(), days, call.CancellationToken);
        return writer =>
        {
            writer.WriteString("KeyId", KeyNames.ArnOf(key, call.Region));
            KeyMetadata.WriteTime(writer, "DeletionDate", key.DeletesAt!.Value);
            writer.WriteString("KeyState", KeyMetadata.StateOf(key));
            writer.WriteNumber("PendingWindowInDays", days);
        };
    }

    public async Task<Action<Utf8JsonWriter>?> CancelDeletionAsync(KmsCall call)
    {
        var key = await changes.CancelDeletionAsync(call.Caller, call.KeyNoAlias(), call.CancellationToken);
        return writer => writer.WriteString("KeyId", KeyNames.ArnOf(key, call.Region));
    }

    /// <summary>Rotation here makes a new version with a new public key, which AWS KMS does not do for such keys.</summary>
    public async Task<Action<Utf8JsonWriter>?> GetRotationStatusAsync(KmsCall call)
    {
        var key = await ReadAsync(call, call.KeyNoAlias());
        return writer =>
        {
            writer.WriteString("KeyId", KeyNames.ArnOf(key, call.Region));
            writer.WriteBoolean("KeyRotationEnabled", key.Rotation?.Period is not null);
            if (key.Rotation?.Period is { } period)
                writer.WriteNumber("RotationPeriodInDays", (int)Math.Ceiling(period.TotalDays));
        };
    }

    private async Task<Key> ReadAsync(KmsCall call, string reference)
    {
        call.RefuseGrantsAndDryRuns();
        var key = await keys.ReadAsync(call.Caller, reference, call.CancellationToken);
        return key.State == KeyState.Deleted ? throw keys.Unknown(call.Caller) : key;
    }

    private static KeySpec SpecOf(KmsCall call)
    {
        var name = call.Text("KeySpec") ?? call.Text("CustomerMasterKeySpec") ?? "SYMMETRIC_DEFAULT";
        if (!KeySpec.TryParse(name, out var spec))
        {
            throw KmsException.Unsupported(
                $"SignSvc signs and does not encrypt: name a KeySpec of [{string.Join(", ", KeySpec.All)}] with the KeyUsage SIGN_VERIFY.");
        }

        return call.Text("KeyUsage") switch
        {
            "SIGN_VERIFY" => spec,
            null => throw KmsException.Validation("You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."),
            _ => throw KmsException.Unsupported("SignSvc signs: KeyUsage is SIGN_VERIFY."),
        };
    }
}
