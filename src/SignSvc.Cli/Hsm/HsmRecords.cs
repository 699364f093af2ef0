using System.Text.Json;
using SignSvc.Backends.Pkcs11;

namespace SignSvc.Cli.Hsm;

internal sealed record HsmSlots(Pkcs11ModuleInfo Module, Pkcs11Slot[] Slots);

internal sealed record HsmMechanisms(Pkcs11Slot Slot, Pkcs11Mechanism[] Mechanisms);

internal sealed record HsmKeys(HsmKey[] Keys);

/// <param name="Reference">What <c>"adopt"</c> takes in <c>POST /v1/keys</c>; null: the key has no name.</param>
/// <param name="Spec">Null: not one that SignSvc uses, or the public half is not in the token.</param>
internal sealed record HsmKey(string Token, string? Reference, string? Label, string? Spec, string? Kid, bool CanSign, string Protection)
{
    public static HsmKey Of(Pkcs11Key key) => new(
        key.Token, key.Reference, key.Label, key.PublicKey?.Spec.Name, key.PublicKey?.Kid, key.CanSign,
        JsonNamingPolicy.CamelCase.ConvertName(key.Protection.ToString()));
}

/// <param name="Result"><see cref="Ok"/>, <see cref="Missing"/> or <see cref="NotTried"/>.</param>
/// <param name="IsRequired">Without it the token is of no use; else something is missing that may not be needed.</param>
internal sealed record HsmRequirement(string What, string Result, bool IsRequired, string? Remark = null)
{
    public const string Ok = "ok";
    public const string Missing = "missing";
    public const string NotTried = "not tried";

    public static HsmRequirement Of(Pkcs11Check check) => new(check.What, check.Holds ? Ok : Missing, check.IsRequired);
}
