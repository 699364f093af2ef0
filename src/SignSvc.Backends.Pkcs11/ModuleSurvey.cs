using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Signing;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Pkcs11;

/// <summary>
/// What a module offers, seen without logging in: for an operator who is about to configure it. Calls block on the
/// module for as long as it takes.
/// </summary>
public sealed class ModuleSurvey : IDisposable
{
    private readonly CryptokiModule _module;

    /// <exception cref="SigningException">The library cannot be loaded, is no PKCS#11 module, or does not initialise.</exception>
    public ModuleSurvey(string modulePath, string? initializationParameters)
    {
        _module = CryptokiModule.Load(modulePath, initializationParameters);
        try
        {
            Ask(() =>
            {
                _module.Initialize();
                return true;
            });
        }
        catch
        {
            _module.Release(finalize: false);
            throw;
        }
    }

    public Pkcs11ModuleInfo Module => Ask(() =>
    {
        var info = _module.GetInfo();
        return new Pkcs11ModuleInfo(
            info.manufacturerID.ToString(), info.libraryDescription.ToString(), info.libraryVersion.ToString(), _module.Version.ToString());
    });

    public IReadOnlyList<Pkcs11Slot> Slots() => Ask(() => _module.GetSlotList().Select(slot =>
    {
        var token = _module.GetTokenInfo(slot);
        return new Pkcs11Slot(
            slot, _module.GetSlotInfo(slot).slotDescription.ToString(), token.label.ToString(), token.serialNumber.ToString(),
            token.model.ToString(), token.manufacturerID.ToString(),
            IsHardware: (_module.GetSlotInfo(slot).flags & CKF_HW_SLOT) != 0,
            IsInitialized: (token.flags & CKF_TOKEN_INITIALIZED) != 0,
            NeedsLogin: (token.flags & CKF_LOGIN_REQUIRED) != 0,
            IsWritable: (token.flags & CKF_WRITE_PROTECTED) == 0);
    }).ToList());

    /// <summary>PKCS#11's names for the mechanisms used here, hexadecimal numbers for the others.</summary>
    public IReadOnlyList<Pkcs11Mechanism> Mechanisms(ulong slotId) => Ask(() => _module.GetMechanismList((nuint)slotId).Select(mechanism =>
    {
        var info = _module.GetMechanismInfo((nuint)slotId, mechanism);
        return new Pkcs11Mechanism(
            Enum.IsDefined(mechanism) ? mechanism.ToString() : $"0x{(ulong)mechanism:X8}", info.ulMinKeySize, info.ulMaxKeySize);
    }).ToList());

    /// <summary>What SignSvc wants of a token, and whether this one has it.</summary>
    public IReadOnlyList<Pkcs11Check> Check(ulong slotId) => Ask(() =>
    {
        var slot = (nuint)slotId;
        var mechanisms = _module.GetMechanismList(slot).ToHashSet();
        var token = _module.GetTokenInfo(slot);
        bool Has(params CK_MECHANISM_TYPE[] any) => any.Any(mechanisms.Contains);
        var checks = new List<Pkcs11Check>
        {
            new("token is initialised", (token.flags & CKF_TOKEN_INITIALIZED) != 0, IsRequired: true),
            new("slot is hardware (else keys say software)", (_module.GetSlotInfo(slot).flags & CKF_HW_SLOT) != 0, IsRequired: false),
            new("makes RSA keys", Has(CKM_RSA_PKCS_KEY_PAIR_GEN), IsRequired: false),
            new("makes EC keys", Has(CKM_EC_KEY_PAIR_GEN), IsRequired: false),
            new("imports keys", Has(CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD, CKM_AES_CBC_PAD), IsRequired: false),
            new("wraps volume keys", Has(CKM_AES_GCM, CKM_AES_KEY_WRAP_KWP, CKM_AES_KEY_WRAP_PAD, CKM_AES_KEY_WRAP), IsRequired: false),
        };
        checks.AddRange(SigningAlgorithm.All.Select(algorithm =>
            new Pkcs11Check($"signs {algorithm}", Has(SigningMechanism.For(algorithm)), IsRequired: false)));
        checks.Add(new("signs with something", Has(CKM_ECDSA, CKM_RSA_PKCS, CKM_RSA_PKCS_PSS), IsRequired: true));
        return checks;
    });

    public void Dispose() => _module.Release(finalize: true);

    private static T Ask<T>(Func<T> question)
    {
        try
        {
            return question();
        }
        catch (CryptokiException e)
        {
            throw new SigningException(SigningFault.BackendFailed, $"The PKCS#11 module: {e.Message}", e);
        }
    }
}

/// <param name="CryptokiVersion">Of the function list in use: 2.x, or 3.x where the module has C_GetInterface.</param>
public sealed record Pkcs11ModuleInfo(string Manufacturer, string Description, string LibraryVersion, string CryptokiVersion);

public sealed record Pkcs11Slot(
    ulong Id, string Description, string Label, string Serial, string Model, string Manufacturer,
    bool IsHardware, bool IsInitialized, bool NeedsLogin, bool IsWritable);

/// <param name="LeastKeySize">In the mechanism's own unit, bits or bytes.</param>
public sealed record Pkcs11Mechanism(string Name, ulong LeastKeySize, ulong MostKeySize);

/// <param name="IsRequired">Without it the token is of no use here; else something is missing that may not be needed.</param>
public sealed record Pkcs11Check(string What, bool Holds, bool IsRequired);
