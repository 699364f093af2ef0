using System.Globalization;
using SignSvc.Signing;
using SignSvc.Signing.Keys;

namespace SignSvc.Compatibility.Transit;

/// <summary><c>keys</c> and <c>export</c>: reading, making and changing keys in Vault's words.</summary>
internal sealed class TransitKeys(KeyLifecycle keys, KeyChanges changes, KeyRotation rotation, KeyScheduler scheduler, TimeProvider time)
{
    public async Task<TransitAnswer> ListAsync(TransitCall call)
    {
        var after = call.Http.Request.Query["after"].ToString();
        // One more than is shown tells whether that was all.
        var page = await keys.ListAsync(
            call.Caller, new KeyFilter(), KeyLifecycle.MaxPage + 1, after.Length == 0 ? null : after, call.CancellationToken);
        if (page.IsEmpty)
            throw new SigningException(SigningFault.NotFound, "There are no keys.");
        var shown = page.Take(KeyLifecycle.MaxPage).Select(k => k.Name).ToArray();
        return new TransitAnswer(
            data =>
            {
                data.WriteStartArray("keys");
                foreach (var name in shown)
                    data.WriteStringValue(name);
                data.WriteEndArray();
            },
            page.Length > shown.Length ? $"There are more keys: give after={shown[^1]}." : null);
    }

    public async Task<TransitAnswer> ReadAsync(TransitCall call) => Answer(await ReadKeyAsync(call));

    /// <summary>As in Vault a key that exists is no fault, and is left as it is; deletion is off until it is allowed.</summary>
    public async Task<TransitAnswer> CreateAsync(TransitCall call)
    {
        var body = call.Body;
        foreach (var refused in (string[])["derived", "convergent_encryption", "exportable", "allow_plaintext_backup"])
        {
            if (body.Flag(refused) == true)
                throw ClientJson.Invalid($"{refused} cannot be: SignSvc signs, and private keys do not leave it.");
        }

        var type = body.Text("type") ?? "aes256-gcm96";
        var spec = KeyTypes.SpecOf(type)
            ?? throw ClientJson.Invalid($"SignSvc has no keys of type {Shown(type)}: name one of {string.Join(", ", KeyTypes.All)}.");
        var period = RotationOf(body);
        var request = NewKey.Parse(
            call.Key, KeyPurpose.Artifacts, KeyTier.Assured, backend: null, spec.Name, [.. spec.Algorithms.Select(a => a.Name)],
            rotation: period is > 0 ? new RotationWish(period) : null, deletionProtection: true);
        try
        {
            return Answer(await keys.CreateAsync(call.Caller, request, call.CancellationToken));
        }
        catch (SigningException e) when (e.Fault == SigningFault.NameTaken)
        {
            return Answer(await ReadKeyAsync(call), $"key {call.Key} already existed");
        }
    }

    public async Task<TransitAnswer> RotateAsync(TransitCall call)
    {
        var rotated = await rotation.RotateAsync(call.Caller, call.Key, call.CancellationToken);
        return Answer(await scheduler.AdvanceAsync(rotated, call.CancellationToken));
    }

    /// <summary><c>min_decryption_version</c> is the floor of verifying, <c>min_encryption_version</c> that of signing. As in Vault, 0 is none, and no rotation.</summary>
    public async Task<TransitAnswer> ConfigureAsync(TransitCall call)
    {
        var body = call.Body;
        if (body.Flag("exportable") == true || body.Flag("allow_plaintext_backup") == true)
            throw ClientJson.Invalid("Private keys do not leave SignSvc.");
        var (verifying, signing, mayDelete, period) = (
            body.Number("min_decryption_version"), body.Number("min_encryption_version"), body.Flag("deletion_allowed"), RotationOf(body));
        var key = await changes.UpdateAsync(
            call.Caller, call.Key,
            key => new KeyUpdate(
                Rotation: period is { } seconds ? RotationOf(key, seconds) : null,
                DeletionProtection: !mayDelete,
                MinSigningVersion: signing is 0 ? 1 : signing,
                MinVerificationVersion: verifying is 0 ? 1 : verifying),
            call.CancellationToken);
        return Answer(key);
    }

    public async Task<TransitAnswer> DeleteAsync(TransitCall call)
    {
        var key = await changes.ScheduleDeletionAsync(call.Caller, call.Key, KeyChanges.MaxDeletionDays, call.CancellationToken);
        return new TransitAnswer(_ => { }, $"{key.Name} signs no more and is deleted at {key.DeletesAt:u}; until then the deletion can be cancelled.");
    }

    public static Task<TransitAnswer> TrimAsync() => throw ClientJson.Invalid(
        "Versions end by rotation and revocation, and none is trimmed: raise min_decryption_version, and the older ones verify no more.");

    public async Task<TransitAnswer> ExportAsync(TransitCall call)
    {
        if (call.Route("type") is not "public-key")
            throw ClientJson.Invalid("Only public-key can be exported: private keys do not leave SignSvc.");
        var key = await ReadKeyAsync(call);
        var wanted = call.Route("version") switch
        {
            null => Shown(key),
            "latest" => [.. Shown(key).TakeLast(1)],
            var text => [.. Shown(key).Where(v => string.Equals(v.Number.ToString(CultureInfo.InvariantCulture), text, StringComparison.Ordinal))],
        };
        if (wanted.Length == 0)
            throw new SigningException(SigningFault.NotFound, "There is no such version of this key.");
        return new TransitAnswer(data =>
        {
            data.WriteString("name", key.Name);
            data.WriteString("type", KeyTypes.Of(key.Spec));
            data.WriteStartObject("keys");
            foreach (var version in wanted)
                data.WriteString(version.Number.ToString(CultureInfo.InvariantCulture), version.PublicKey.ToPem() + "\n");
            data.WriteEndObject();
        });
    }

    private async Task<Key> ReadKeyAsync(TransitCall call)
    {
        var key = await keys.ReadAsync(call.Caller, call.Key, call.CancellationToken);
        return key.State == KeyState.Deleted ? throw keys.Unknown(call.Caller) : key;
    }

    private TransitAnswer Answer(Key key, string? warning = null)
    {
        var versions = Shown(key);
        return new TransitAnswer(
            data =>
            {
                data.WriteString("name", key.Name);
                data.WriteString("type", KeyTypes.Of(key.Spec));
                data.WriteNumber("latest_version", versions.LastOrDefault()?.Number ?? 0);
                data.WriteNumber("min_available_version", 0);
                data.WriteNumber("min_decryption_version", key.MinVerificationVersion);
                data.WriteNumber("min_encryption_version", key.MinSigningVersion);
                data.WriteNumber("auto_rotate_period", (long)(key.Rotation?.Period?.TotalSeconds ?? 0));
                data.WriteBoolean("deletion_allowed", !key.DeletionProtection);
                data.WriteBoolean("imported_key", key.Origin == KeyOrigin.Imported);
                data.WriteBoolean("supports_signing", true);
                foreach (var never in (string[])["derived", "exportable", "allow_plaintext_backup", "supports_encryption", "supports_decryption", "supports_derivation"])
                    data.WriteBoolean(never, false);
                data.WriteStartObject("keys");
                foreach (var version in versions)
                {
                    data.WriteStartObject(version.Number.ToString(CultureInfo.InvariantCulture));
                    data.WriteString("name", key.Spec.JwkCurve ?? KeyTypes.Of(key.Spec));
                    data.WriteString("public_key", version.PublicKey.ToPem() + "\n");
                    data.WriteString("creation_time", version.CreatedAt.UtcDateTime);
                    data.WriteEndObject();
                }

                data.WriteEndObject();
            },
            warning);
    }

    /// <summary>
    /// What is published, up to the version that signs, or did until the key was stopped: Vault's clients take the highest
    /// number for the one that signs, and an announced version does not sign yet.
    /// </summary>
    private KeyVersion[] Shown(Key key)
    {
        var highest = key.InForce(time.GetUtcNow())?.Number ?? int.MaxValue;
        return [.. key.Versions.Where(v => v.IsPublished && v.Number <= highest)];
    }

    /// <summary>The period alone: what else is known of the key's rotation, Vault has no words for. Without a period nothing is spread.</summary>
    private static RotationPolicy RotationOf(Key key, int seconds) => NewKey.ParseRotation(key.Tier, key.Purpose, new RotationWish(
        seconds == 0 ? null : seconds,
        (int?)key.Rotation?.Lead.TotalSeconds,
        (int?)key.Rotation?.Grace.TotalSeconds,
        seconds == 0 ? null : (int?)key.Rotation?.Jitter.TotalSeconds,
        key.Rotation?.Standby));

    /// <summary>Seconds, also as text, or Go's notation in one unit (<c>720h</c>); 0 is never.</summary>
    private static int? RotationOf(ClientJson body)
    {
        if (!body.Has("auto_rotate_period"))
            return null;
        if (body.TryNumber("auto_rotate_period") is >= 0 and var seconds)
            return seconds;
        var text = body.Text("auto_rotate_period") ?? "";
        var factor = text switch { [.., 's'] => 1, [.., 'm'] => 60, [.., 'h'] => 3600, [.., 'd'] => 86_400, _ => 0 };
        return factor > 0 && int.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count <= int.MaxValue / factor
            ? count * factor
            : throw ClientJson.Invalid("auto_rotate_period is a number of seconds, or one with a unit: 720h.");
    }

    private static string Shown(string text) => text.Length <= 64 ? text : text[..64];
}

/// <summary>Vault's names for key specs.</summary>
internal static class KeyTypes
{
    public static IEnumerable<string> All => KeySpec.All.Select(Of);

    public static string Of(KeySpec spec) => spec.Family == KeyFamily.Ecc ? $"ecdsa-p{spec.Bits}" : $"rsa-{spec.Bits}";

    public static KeySpec? SpecOf(string type) => KeySpec.All.FirstOrDefault(s => string.Equals(Of(s), type, StringComparison.Ordinal));
}
