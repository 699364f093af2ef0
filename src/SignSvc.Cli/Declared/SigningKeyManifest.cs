using SignSvc.Cli.Keys;
using AliasName = SignSvc.Signing.Keys.AliasName;

namespace SignSvc.Cli.Declared;

/// <summary><c>kind: SigningKey</c>, SignSvc's own.</summary>
internal static class SigningKeyManifest
{
    public const string ApiVersion = "signsvc.dev/v1";
    public const string Kind = "SigningKey";

    public static DeclaredKey Read(Members document)
    {
        var (name, space, _) = ManifestHead.ReadMetadata(document, ourAnnotation: null);
        var spec = document.RequiredMap("spec");
        document.End();

        var purpose = spec.OneOf("purpose", "artifacts", "tokens") ?? throw spec.Place.Refuse("purpose is missing: artifacts or tokens.");
        var tier = spec.OneOf("tier", "assured", "volume");
        var backend = spec.Text("backend");
        var keySpec = spec.OneOf("spec", DeclaredKey.Specs) ?? throw spec.Place.Refuse($"spec is missing, one of: {string.Join(", ", DeclaredKey.Specs)}.");
        var algorithms = spec.Texts("algorithms", most: 6);
        var description = spec.Text("description");
        var owner = spec.Text("owner");
        var tags = ManifestHead.ReadTags(spec);
        var aliases = ReadAliases(spec);
        var enabled = spec.Flag("enabled");
        var rotation = ReadRotation(spec, isVolume: tier is "volume" || (tier is null && purpose is "tokens"));
        var protection = spec.Flag("deletionProtection");
        // Nothing is deleted by what a manifest leaves out.
        var policy = spec.OneOf("deletionPolicy", "Retain", "DisableKey", "ScheduleKeyDeletion") ?? nameof(DeletionPolicy.Retain);
        var days = spec.Number("pendingWindowInDays", DeclaredKey.MinWindowInDays, DeclaredKey.DefaultWindowInDays);
        spec.End();
        return new DeclaredKey(
            document.Place, ApiVersion, Kind, name, space, purpose, keySpec, tier, backend, algorithms, description, owner, tags, aliases,
            enabled, rotation, protection, Enum.Parse<DeletionPolicy>(policy), days ?? DeclaredKey.DefaultWindowInDays,
            Warnings: []);
    }

    private static string[]? ReadAliases(Members spec)
    {
        var aliases = spec.Texts("aliases", DeclaredKey.MaxAliases);
        if (aliases?.FirstOrDefault(a => !AliasName.IsValid(a)) is { } wrong)
            throw spec.Place.Refuse($"{wrong} is no alias: names joined by slashes, at most {AliasName.MaxLength} characters.");
        return aliases;
    }

    private static RotationWish? ReadRotation(Members spec, bool isVolume)
    {
        if (spec.Map("rotation") is not { } rotation)
            return null;
        var isNever = rotation.Find("period") is YamlScalar { Text: RotationOptions.Never };
        if (isNever && isVolume)
            throw rotation.Place.Refuse("A volume key is short-lived: it has a period.");
        var wish = new RotationWish(
            isNever ? null : rotation.Duration("period"), isNever, rotation.Duration("lead"), rotation.Duration("grace"), rotation.Duration("jitter"),
            rotation.Flag("standby"));
        rotation.End();
        return wish;
    }
}
