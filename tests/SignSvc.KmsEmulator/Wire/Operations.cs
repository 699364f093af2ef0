using System.Collections.Frozen;
using System.Text.Json.Nodes;
using SignSvc.Emulation.Aliases;
using SignSvc.Emulation.Crypto;
using SignSvc.Emulation.Grants;
using SignSvc.Emulation.Keys;
using SignSvc.Emulation.Policies;

namespace SignSvc.Emulation.Wire;

/// <summary>An operation of the API.</summary>
/// <param name="Name">As in <c>X-Amz-Target: TrentService.Name</c>.</param>
/// <param name="Handle">Does it.</param>
/// <param name="Exclusive">It runs under <see cref="World.Gate"/>; else it takes the gate itself where it needs it.</param>
/// <param name="ChargedByName">Its quota is its own; else it charges the family of the key it uses.</param>
/// <param name="Writes">It changes the world.</param>
internal sealed record Operation(
    string Name,
    Func<Call, JsonObject> Handle,
    bool Exclusive,
    bool ChargedByName,
    bool Writes);

internal static class Operations
{
    private static readonly Operation[] All =
    [
        // Key generation takes long: not under the gate.
        new(
            nameof(KeyOperations.CreateKey),
            KeyOperations.CreateKey,
            Exclusive: false,
            ChargedByName: true,
            Writes: true),
        new(
            nameof(ImportOperations.GetParametersForImport),
            ImportOperations.GetParametersForImport,
            Exclusive: false,
            ChargedByName: true,
            Writes: true),
        Change(KeyOperations.EnableKey),
        Change(KeyOperations.DisableKey),
        Change(KeyOperations.UpdateKeyDescription),
        Change(KeyOperations.ScheduleKeyDeletion),
        Change(KeyOperations.CancelKeyDeletion),
        Change(Tags.TagResource),
        Change(Tags.UntagResource),
        Change(RotationOperations.EnableKeyRotation),
        Change(RotationOperations.DisableKeyRotation),
        Change(RotationOperations.RotateKeyOnDemand),
        Change(ImportOperations.ImportKeyMaterial),
        Change(ImportOperations.DeleteImportedKeyMaterial),
        Change(ReplicaOperations.ReplicateKey),
        Change(ReplicaOperations.UpdatePrimaryRegion),
        Change(AliasOperations.CreateAlias),
        Change(AliasOperations.UpdateAlias),
        Change(AliasOperations.DeleteAlias),
        Change(GrantOperations.CreateGrant),
        Change(GrantOperations.RevokeGrant),
        Change(GrantOperations.RetireGrant),
        Change(KeyPolicy.PutKeyPolicy),
        Read(KeyOperations.DescribeKey),
        Read(KeyOperations.ListKeys),
        Read(Tags.ListResourceTags),
        Read(RotationOperations.GetKeyRotationStatus),
        Read(RotationOperations.ListKeyRotations),
        Read(AliasOperations.ListAliases),
        Read(GrantOperations.ListGrants),
        Read(GrantOperations.ListRetirableGrants),
        Read(KeyPolicy.GetKeyPolicy),
        Read(KeyPolicy.ListKeyPolicies),
        Read(Signatures.GetPublicKey),
        Use(Signatures.Sign),
        Use(Signatures.Verify),
        Use(Encryption.Encrypt),
        Use(Encryption.Decrypt),
        Use(Encryption.ReEncrypt),
        Use(DataKeys.GenerateDataKey),
        Use(DataKeys.GenerateDataKeyWithoutPlaintext),
        Use(DataKeys.GenerateDataKeyPair),
        Use(DataKeys.GenerateDataKeyPairWithoutPlaintext),
        Use(DataKeys.GenerateRandom),
    ];

    public static readonly FrozenDictionary<string, Operation> ByName = All.ToFrozenDictionary(
        o => o.Name,
        StringComparer.Ordinal);

    private static Operation Change(Func<Call, JsonObject> handle) =>
        new(handle.Method.Name, handle, Exclusive: true, ChargedByName: true, Writes: true);

    private static Operation Read(Func<Call, JsonObject> handle) =>
        new(handle.Method.Name, handle, Exclusive: true, ChargedByName: true, Writes: false);

    private static Operation Use(Func<Call, JsonObject> handle) =>
        new(handle.Method.Name, handle, Exclusive: false, ChargedByName: false, Writes: false);
}
